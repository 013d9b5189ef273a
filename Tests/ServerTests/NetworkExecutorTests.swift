import NIOCore
import NIOPosix
import Tally
import Testing

@testable import TallyServer

@Suite("Where small requests run", .timeLimit(.minutes(10)))
struct NetworkExecutorTests {
    @Test("where a piece took long, others run elsewhere for a while, and none is lost")
    func slowPieces() async throws {
        try await ServedEngine.with { served in
            let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let loop = threads.next()
            func executor() -> NetworkExecutor {
                NetworkExecutor(loop: loop, workers: served.engine.workers)
            }
            func isOnLoop(_ executor: NetworkExecutor) async -> Bool {
                await Task(executorPreference: executor) { loop.inEventLoop }.value
            }
            let (quick, slow) = (executor(), executor())
            #expect(await isOnLoop(quick))
            let now = NIODeadline.now()
            slow.note(from: now, to: now + .milliseconds(1))
            #expect(slow.isAvailable(at: now))
            // Nothing is looked at twice in an hour.
            slow.note(from: now, to: now + .hours(1))
            #expect(await !isOnLoop(slow))
            #expect(!slow.isAvailable(at: now + .hours(1)))
            #expect(slow.isAvailable(at: now + .hours(2)))
            // Tasks that are still there when the thread ends.
            let ending = executor()
            await ending.stop()
            #expect(await !isOnLoop(ending))
            try await threads.shutdownGracefully()
            #expect(await !isOnLoop(ending))
        }
    }

    @Test("requests are small and of the log, or run on the engine's threads")
    func quickRequests() {
        func isQuick(_ start: [UInt8], count: Int = 100) -> Bool {
            var bytes = start + [UInt8](repeating: 0, count: count - start.count)
            return Frame(taking: &bytes, reserved: 0).isQuick
        }
        #expect(isQuick([0, 0, 0, 9]))
        #expect(isQuick([0, 1, 0, 12]))
        #expect(!isQuick([0, 3, 0, 12]))
        #expect(!isQuick([0, 0, 0, 9], count: MemoryBudget.freeByteCount + 1))
        #expect(!isQuick([0, 0], count: 2))
    }
}
