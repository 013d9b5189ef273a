import ArgumentParser
import Foundation

/// Runs work that Ctrl-C (SIGINT) or SIGTERM cancels instead of ending the process, so that what
/// is open is closed in order. A second Ctrl-C ends it at once.
///
/// Exits with 130, as shells expect, when the work was cancelled.
func interruptible<Success: Sendable>(
    _ work: @escaping @Sendable () async throws -> Success
) async throws -> Success {
    let (isListening, listening) = AsyncStream<Void>.makeStream()
    let task = Task {
        for await _ in isListening { break }
        try Task.checkCancellation()
        return try await work()
    }
    var sources: [any DispatchSourceSignal] = []
    for number in [SIGINT, SIGTERM] {
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
            if task.isCancelled { _exit(130) }
            task.cancel()
        }
        await withCheckedContinuation { continuation in
            source.setRegistrationHandler { continuation.resume() }
            source.resume()
        }
        sources.append(source)
    }
    // Work that began earlier could be ended by a signal half done. Until here a signal ends the
    // process, and takes nothing with it: one that was ignored meanwhile would be lost, and
    // whoever sent it would wait for ever.
    listening.finish()
    defer {
        for source in sources { source.cancel() }
        for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
    }
    do {
        return try await task.value
    } catch is CancellationError {
        Console.note("Interrupted.")
        throw ExitCode(130)
    }
}
