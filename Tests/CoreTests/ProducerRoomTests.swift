import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyLog

/// How long a sender waits where the buffer is full, and what cancelling it does.
@Suite(.timeLimit(.minutes(10))) struct ProducerRoomTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// A producer whose buffer of 1,000 bytes is full, and stays so until the semaphore is
    /// signalled.
    private func full(
        _ engine: Engine, blockMillisecondsMax: Int64
    ) async throws -> (Producer, DispatchSemaphore) {
        var configuration = ProducerConfiguration()
        configuration.bufferBytesMax = 1_000
        configuration.blockMillisecondsMax = blockMillisecondsMax
        let producer = try engine.producer(configuration)
        let isOver = try await engine.partition(0, of: "a").log.holdWriter()
        try producer.enqueue(String(repeating: "x", count: 1_000), to: "a")
        #expect(producer.isFull)
        return (producer, isOver)
    }

    private func engine() async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 1)
        return engine
    }

    private func record(_ value: String) -> ProducerRecord {
        ProducerRecord(topic: "a", key: nil as String?, value: value)
    }

    @Test("a send that waits for room can be cancelled: it takes nothing, and others go on")
    func cancelledWait() async throws {
        let engine = try await engine()
        let (producer, isOver) = try await full(engine, blockMillisecondsMax: .max)
        defer { isOver.signal() }
        let taken = producer.pendingByteCount
        let cancelled = Task { try await producer.send(record("cancelled")) }
        let waiting = Task { try await producer.waitForRoom() }
        let patient = Task { try await producer.send(record("patient")) }
        #expect(try await eventually { producer.roomWaiterCount == 3 })
        cancelled.cancel()
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(producer.pendingByteCount == taken && producer.roomWaiterCount == 1)
        isOver.signal()
        #expect(try await patient.value.offset == Offset(1))
        #expect(try await engine.values(of: "a")[0]?.last == "patient")
        try await engine.close()
    }

    @Test("a task that is cancelled before it sends takes nothing, room or not")
    func cancelledBefore() async throws {
        let engine = try await engine()
        let producer = try engine.producer()
        let sending = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await producer.send(record("never"))
        }
        sending.cancel()
        await #expect(throws: CancellationError.self) { try await sending.value }
        #expect(try await engine.values(of: "a").isEmpty)
        try await engine.close()
    }

    @Test("a record that was taken is not un-sent by cancelling: its sender is told where it is")
    func cancelledDelivery() async throws {
        let engine = try await engine()
        let producer = try engine.producer()
        let isOver = try await engine.partition(0, of: "a").log.holdWriter()
        defer { isOver.signal() }
        let sending = Task { try await producer.send(record("taken")) }
        #expect(try await eventually { producer.pendingByteCount > 0 })
        sending.cancel()
        isOver.signal()
        #expect(try await sending.value.offset == .zero)
        #expect(try await engine.values(of: "a") == [0: ["taken"]])
        try await engine.close()
    }

    @Test("max.block.ms: after it a send is an error that says what is full; with 0 at once")
    func limit() async throws {
        let engine = try await engine()
        for limit: Int64 in [150, 0] {
            let (producer, isOver) = try await full(engine, blockMillisecondsMax: limit)
            let taken = producer.pendingByteCount
            let error = EngineError.bufferTimeout(
                byteCount: taken, limit: 1_000, milliseconds: limit)
            let start = ContinuousClock.now
            await #expect(throws: error) { try await producer.send(record("late")) }
            #expect(ContinuousClock.now - start >= .milliseconds(limit))
            await #expect(throws: error) { try await producer.waitForRoom() }
            let outcomes = await producer.send([record("late"), record("too")])
            for outcome in outcomes { #expect(throws: error) { try outcome.get() } }
            let text = "\(error)"
            for part in ["max.block.ms, \(limit)", "\(taken) bytes", "buffer.memory is 1000"] {
                #expect(text.contains(part))
            }
            #expect(producer.pendingByteCount == taken && producer.roomWaiterCount == 0)
            isOver.signal()
            try await producer.flush()
            _ = try await producer.send(record("in time"))
        }
        let stored = try await engine.values(of: "a")[0]?.filter { !$0.hasPrefix("x") }
        #expect(stored == ["in time", "in time"])
        try await engine.close()
    }

    @Test("an array of records that is cancelled while it waits was taken up to a record")
    func cancelledArray() async throws {
        let engine = try await engine()
        let (producer, isOver) = try await full(engine, blockMillisecondsMax: 60_000)
        defer { isOver.signal() }
        let sending = Task {
            await producer.send((0..<20_000).map { record("\($0)") })
        }
        #expect(try await eventually { producer.roomWaiterCount == 1 })
        isOver.signal()
        // Some of it goes through; then it has to wait again, for ever.
        let log = try engine.partition(0, of: "a").log
        #expect(try await eventually { log.logEnd > Offset(40) })
        let again = await log.holdWriter()
        defer { again.signal() }
        #expect(try await eventually { producer.roomWaiterCount == 1 })
        sending.cancel()
        #expect(try await eventually { producer.roomWaiterCount == 0 })
        again.signal()
        let outcomes = await sending.value
        let sent = outcomes.prefix { (try? $0.get()) != nil }
        #expect(sent.count > 40 && sent.count < 20_000)
        let areCancelled = outcomes.dropFirst(sent.count).allSatisfy { outcome in
            if case .failure(let error) = outcome { error is CancellationError } else { false }
        }
        #expect(areCancelled)
        #expect(try await engine.values(of: "a")[0]?.count == sent.count + 1)
        try await engine.close()
    }

    @Test("room that is made is not taken by all who wait for it")
    func turns() async throws {
        let account = ProducerAccount(byteCountMax: 100, isKeepingErrors: false)
        account.add(100)
        let taken = Count()
        let waiting = (0..<200).map { _ in
            Task.detached {
                try await account.waitForRoom(milliseconds: 600_000) {}
                account.add(60)
                taken.increment()
            }
        }
        #expect(try await eventually { account.roomWaiterCount == 200 })
        account.free(100)
        #expect(try await eventually { account.roomWaiterCount + taken.value == 200 })
        // Two fit; as many more as run at the same time may find room that is just being taken.
        let processors = ProcessInfo.processInfo.activeProcessorCount
        #expect((2...(2 + processors)).contains(taken.value))
        while account.byteCount > 0 || account.roomWaiterCount > 0 {
            if account.byteCount >= 60 { account.free(60) }
            await Task.yield()
        }
        for task in waiting { try await task.value }
        #expect(taken.value == 200)
    }
}

private final class Count: Sendable {
    private let state = Mutex(0)

    var value: Int { state.withLock { $0 } }
    func increment() { state.withLock { $0 += 1 } }
}
