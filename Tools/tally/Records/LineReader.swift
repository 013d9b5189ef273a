import Foundation
import Synchronization

/// Reads lines of a descriptor on a thread of its own, so that whoever waits for a line can be
/// cancelled and keeps none of Swift's own threads waiting.
///
/// Used by one task at a time.
package final class LineReader: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "tally.lines")
    private let state = Mutex(State())
    private static let chunkByteCount = 64 << 10

    fileprivate struct State {
        /// A line that is not whole yet.
        var rest: [UInt8] = []
        var isAtEnd = false
        var waiting: CheckedContinuation<[[UInt8]]?, any Error>?
    }

    /// Reads an open descriptor from where it stands.
    package init(descriptor: Int32) { self.descriptor = descriptor }

    /// The next whole lines, without their ends; nil at the end of the input.
    ///
    /// Throws ``CommandFailure`` and `CancellationError`. After a cancellation nothing more is
    /// read: a read that is under way cannot be taken back.
    package func next() async throws -> [[UInt8]]? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isCancelled = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.waiting = continuation
                    return false
                }
                if isCancelled { return continuation.resume(throwing: CancellationError()) }
                queue.async { [self] in answer(Result { try read() }) }
            }
        } onCancel: {
            answer(.failure(CancellationError()))
        }
    }

    private func answer(_ result: Result<[[UInt8]]?, any Error>) {
        state.withLock { $0.waiting.take() }?.resume(with: result)
    }

    /// Blocks until there is a whole line, or the end.
    private func read() throws -> [[UInt8]]? {
        while true {
            if state.withLock({ $0.isAtEnd }) { return nil }
            var bytes = [UInt8](repeating: 0, count: Self.chunkByteCount)
            let count = Foundation.read(descriptor, &bytes, bytes.count)
            if count < 0 {
                if errno == EINTR { continue }
                let reason = String(cString: strerror(errno))
                throw CommandFailure("cannot read standard input: \(reason)")
            }
            let lines = state.withLock { $0.take(bytes.prefix(count)) }
            if !lines.isEmpty { return lines }
        }
    }
}

extension LineReader.State {
    /// The lines that end in these bytes; no bytes are the end of the input.
    mutating fileprivate func take(_ bytes: ArraySlice<UInt8>) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var from = bytes.startIndex
        while let end = bytes[from...].firstIndex(of: UInt8(ascii: "\n")) {
            rest += bytes[from..<end]
            if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
            lines.append(rest)
            rest = []
            from = end + 1
        }
        rest += bytes[from...]
        if bytes.isEmpty {
            isAtEnd = true
            if !rest.isEmpty { lines.append(rest) }
        }
        return lines
    }
}
