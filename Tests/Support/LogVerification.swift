import Foundation
import Glibc
import TallyFiles
import TallyLog
import Testing

/// Holds a test against the rule that every log it wrote is sound when it is through.
package enum LogVerification {
    /// What is damaged in a partition's directory; empty where nothing is. What opening the log
    /// mends is no damage.
    package static func damage(in directory: String, on files: any FileSystem) -> [String] {
        do {
            let verifier = LogVerifier(of: directory, environment: .readOnly(on: files))
            return try verifier.verify().problems.filter { $0.severity == .damage }.map { "\($0)" }
        } catch LogError.file(let error) where error.code == ESTALE || error.code == ENOENT {
            // The simulated machine was switched off, or the test removed the log.
            return []
        } catch {
            return ["\(directory) cannot be verified: \(error)"]
        }
    }

    /// What is damaged in the partitions under a directory of the real file system.
    package static func damage(under root: String) -> [String] {
        let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        let partitions = Set(
            names.filter { $0.hasSuffix(".log") }.map { (root + "/" + $0).deletingLastComponent })
        return partitions.sorted().flatMap { damage(in: $0, on: PosixFileSystem()) }
    }
}

extension String {
    fileprivate var deletingLastComponent: String { (self as NSString).deletingLastPathComponent }
}

/// The logs that a test opened on simulated file systems.
package final class OpenedLogs: @unchecked Sendable {
    /// Those of the test that is running; nil where its suite is not `.verifiesLogs`.
    @TaskLocal package static var current: OpenedLogs?

    private let lock = NSLock()
    private var logs: [(files: any FileSystem, directory: String)] = []
    private var holdDamage = false

    /// Says that the running test damages its logs itself.
    package static func holdDamage() {
        guard let current else { return }
        current.lock.withLock { current.holdDamage = true }
    }

    /// Remembers a log for the end of the test.
    package func note(_ directory: String, on files: any FileSystem) {
        lock.withLock { logs.append((files, directory)) }
    }

    fileprivate func expectSound() {
        for log in lock.withLock({ holdDamage ? [] : logs }) {
            let damage = LogVerification.damage(in: log.directory, on: log.files)
            #expect(damage.isEmpty)
        }
    }
}

/// Verifies every log that a test of the suite opened, after it.
package struct VerifyingLogs: SuiteTrait, TestTrait, TestScoping {
    package var isRecursive: Bool { true }

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let logs = OpenedLogs()
        try await OpenedLogs.$current.withValue(logs, operation: function)
        logs.expectSound()
    }
}

extension Trait where Self == VerifyingLogs {
    /// Verifies every log that a test of the suite opened, after it.
    package static var verifiesLogs: Self { VerifyingLogs() }
}
