import Foundation
import Synchronization
import Testing

/// A directory of a test's own, removed with all that is in it when the last reference goes away.
/// Before that every log in it is verified: damage fails the test.
///
/// Swift may let go of an object after its last use: keep using it, or say
/// `withExtendedLifetime`, for as long as files in it are needed.
package final class TemporaryDirectory: Sendable {
    /// Where it is, without a slash at the end.
    package let path: String
    /// Not where the test does the damage itself.
    private let isVerified: Bool
    private let isClosed = Atomic<Bool>(false)

    /// - Parameter holdsDamage: the test damages logs on purpose, so that they are not verified.
    package init(holdsDamage: Bool = false) throws {
        isVerified = !holdsDamage
        // What `mkdtemp` puts letters of its own in the place of.
        let blanks = String(repeating: "X", count: 6)
        var name = Array(
            (FileManager.default.temporaryDirectory.path + "/tally-test-\(blanks)").utf8CString)
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
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        if isVerified {
            for damage in LogVerification.damage(under: path) { Issue.record("\(damage)") }
        }
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of something in it.
    package func path(_ name: String) -> String {
        path + "/" + name
    }
}
