import Foundation

/// Copies a directory that somebody is at work on, as a killed process leaves it. A file that is
/// just being replaced by a newer one is no reason to fail: the copy is made again.
package func copyLiveDirectory(_ path: String, to copy: String) throws {
    for _ in 0..<100 {
        do {
            return try FileManager.default.copyItem(atPath: path, toPath: copy)
        } catch let error as CocoaError
            where [.fileNoSuchFile, .fileReadNoSuchFile].contains(error.code)
        {
            try? FileManager.default.removeItem(atPath: copy)
        }
    }
    try FileManager.default.copyItem(atPath: path, toPath: copy)
}
