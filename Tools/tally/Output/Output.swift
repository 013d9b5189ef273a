import ArgumentParser
import Foundation
import Synchronization
import TallyLog

/// Where a command writes its lines: a descriptor, through a buffer, or memory for tests.
///
/// Used by one thread at a time.
package final class Output {
    /// Nobody reads what is written any more: end quietly.
    package struct Closed: Error {}

    private var buffer: [UInt8] = []
    private let descriptor: Int32?
    private static let bufferByteCount = 64 << 10

    /// Writes to an open descriptor.
    package init(descriptor: Int32) { self.descriptor = descriptor }

    /// Gathers in memory.
    package init() { descriptor = nil }

    /// What was written to memory.
    package var text: String { String(decoding: buffer, as: UTF8.self) }

    /// Whether a person watches.
    var isTerminal: Bool { descriptor.map { isatty($0) == 1 } ?? false }

    /// Writes bytes as they are. Throws ``Closed``, or the error of the system call.
    func write(_ bytes: [UInt8]) throws {
        buffer.append(contentsOf: bytes)
        if descriptor != nil, buffer.count >= Self.bufferByteCount { try flush() }
    }

    /// Writes a line of text.
    func write(line: String) throws { try write(Array(line.utf8) + [UInt8(ascii: "\n")]) }

    /// Hands everything to the kernel.
    func flush() throws {
        guard let descriptor else { return }
        var written = 0
        defer { buffer.removeAll(keepingCapacity: true) }
        while written < buffer.count {
            // Nearly always everything at once: the copy is for what a pipe did not take.
            let rest = written == 0 ? buffer : Array(buffer[written...])
            let count = Foundation.write(descriptor, rest, rest.count)
            if count >= 0 {
                written += count
            } else if errno == EPIPE {
                throw Closed()
            } else if errno != EINTR {
                let reason = String(cString: strerror(errno))
                throw CommandFailure("cannot write the output: \(reason)")
            }
        }
    }
}

/// The two streams of a command.
package struct CommandStreams {
    package let output: Output
    package let errors: Output

    package init(output: Output, errors: Output) {
        self.output = output
        self.errors = errors
    }

    /// Standard output and standard error. A reader that goes away shows as an error of the
    /// write from here on, and not as a signal.
    static func standard() -> CommandStreams {
        signal(SIGPIPE, SIG_IGN)
        return CommandStreams(output: Output(descriptor: 1), errors: Output(descriptor: 2))
    }

    /// Tells the person something that is no part of the result.
    func note(_ text: String) throws {
        try errors.write(line: text)
        try errors.flush()
    }

    /// Runs a command's work; its exit code. Says on the error stream why it ended early.
    package func run(_ work: () async throws -> Int32) async -> Int32 {
        do {
            let code = try await work()
            try output.flush()
            return code
        } catch is Output.Closed {
            return ExitCodes.success
        } catch {
            try? output.flush()
            try? note("error: \(error)")
            return ExitCodes.code(for: error)
        }
    }
}
