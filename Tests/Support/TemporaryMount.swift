import Foundation
import Synchronization
import Testing

/// A small file system of a test's own, in memory, which root may mount. Before it goes every log
/// in it is verified: damage fails the test. A process that outlives
/// the test's takes the mount away again, whatever becomes of the test.
package final class TemporaryMount: Sendable {
    /// Where it is.
    package let path: String
    private let keeper: Process
    private let input = Pipe()
    private let isClosed = Atomic<Bool>(false)

    /// - Parameter mebibytes: how much it holds.
    package init(mebibytes: Int) throws {
        path = "/tmp/tally-mount-\(UUID().uuidString)"
        keeper = Process()
        let output = Pipe()
        keeper.executableURL = URL(fileURLWithPath: "/bin/sh")
        keeper.arguments = [
            "-c",
            """
            mkdir "$1" && mount -t tmpfs -o size="$2"m tally-test "$1" && echo mounted
            read -r line
            umount -l "$1"; rmdir "$1"
            """, "sh", path, "\(mebibytes)",
        ]
        keeper.standardInput = input
        keeper.standardOutput = output
        try keeper.run()
        let told = output.fileHandleForReading.availableData
        guard told.starts(with: Data("mounted".utf8)) else { throw CocoaError(.fileWriteUnknown) }
    }

    deinit { close() }

    /// Unmounts it now.
    package func close() {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        for damage in LogVerification.damage(under: path) { Issue.record("\(damage)") }
        try? input.fileHandleForWriting.close()
        keeper.waitUntilExit()
    }

    /// Mounts it anew, read-only or not. Waits for a file that is still open for writing: a thread
    /// of an engine that was dropped may be about to let go of it.
    package func remount(readOnly: Bool) throws {
        for _ in 0..<500 {
            if try tryRemount(readOnly: readOnly) { return }
            Thread.sleep(forTimeInterval: 0.02)
        }
        throw CocoaError(.fileWriteUnknown)
    }

    private func tryRemount(readOnly: Bool) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/mount")
        process.arguments = ["-o", "remount,\(readOnly ? "ro" : "rw")", path]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

/// What only root may do.
package enum Root {
    /// Whether this is root; said aloud where it is not, since tests are skipped then. With
    /// `TALLY_REQUIRE_ROOT`, which continuous integration sets, they are not: they fail.
    package static let isThis: Bool = {
        let isRequired = ProcessInfo.processInfo.environment["TALLY_REQUIRE_ROOT"] != nil
        guard geteuid() != 0, !isRequired else { return true }
        let text = "tests that mount file systems are SKIPPED: they need root\n"
        FileHandle.standardError.write(Data(text.utf8))
        return false
    }()
}

extension Trait where Self == ConditionTrait {
    /// Skips a test, saying so, where this is not root.
    package static var needsRoot: Self { .enabled(if: Root.isThis, "needs root, to mount") }
}
