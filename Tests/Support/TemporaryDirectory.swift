import Foundation

/// A directory of a test's own, removed with all that is in it when the last reference goes away.
///
/// Swift may let go of an object after its last use: keep using it, or say
/// `withExtendedLifetime`, for as long as files in it are needed.
package final class TemporaryDirectory: Sendable {
    /// Where it is, without a slash at the end.
    package let path: String

    package init() throws {
        var name = Array(
            (FileManager.default.temporaryDirectory.path + "/tally-test-XXXXXX").utf8CString)
        guard mkdtemp(&name) != nil else {
            throw CocoaError(.fileWriteUnknown)
        }
        path = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        close()
    }

    /// Removes it now.
    package func close() {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of something in it.
    package func path(_ name: String) -> String {
        path + "/" + name
    }
}
