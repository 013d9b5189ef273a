import Foundation
import Testing

/// The program that the crash tests start, and what it says. Used by one task; waiting takes a
/// thread of its own, and none of those that run the other tests.
final class ChildProcess: @unchecked Sendable {
    /// The child's program lies beside the tests' own.
    private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("TallyCrashChild")

    private let process = Process()
    private let output = Pipe()
    private var text = Data()

    /// Starts it.
    init(_ arguments: String...) throws {
        process.executableURL = Self.program
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
    }

    var identifier: Int32 { process.processIdentifier }
    var status: Int32 { process.terminationStatus }

    /// Waits for the first line; nil where the child ended before.
    func waitForLine() async -> String? {
        await waitForLines(1)
        return text.isEmpty ? nil : String(decoding: text.prefix { $0 != 0x0A }, as: UTF8.self)
    }

    /// Waits until it has said so many lines, or ended.
    func waitForLines(_ count: Int) async {
        await onThread { [self] in
            while text.count(where: { $0 == 0x0A }) < count {
                let more = output.fileHandleForReading.availableData
                if more.isEmpty { return }
                text += more
            }
        }
    }

    /// Kills it; all that it said. It must have lived until then.
    func kill() async -> Data {
        Foundation.kill(process.processIdentifier, SIGKILL)
        let text = await waitUntilExit()
        // By our signal, and not by a trap or an error of its own.
        let end = String(decoding: text.suffix(300), as: UTF8.self)
        #expect(process.terminationReason == .uncaughtSignal, "\(end)")
        #expect(process.terminationStatus == SIGKILL)
        return text
    }

    /// Lets it live for so many microseconds behind its first line, and kills it.
    func kill(afterLineAnd microseconds: Int) async -> String {
        await waitForLines(1)
        try? await Task.sleep(for: .microseconds(microseconds))
        return String(decoding: await kill(), as: UTF8.self)
    }

    /// Waits for its own end; all that it said.
    func waitUntilExit() async -> Data {
        await onThread { [self] in
            text += output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
        }
        return text
    }

    private func onThread(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            let thread = Thread {
                body()
                continuation.resume()
            }
            thread.start()
        }
    }
}
