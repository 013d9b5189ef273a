import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

@Suite("Tasks on the engine's threads", .timeLimit(.minutes(5)))
struct TaskExecutorTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(threadsMax: Int = 4) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.threadsMax = threadsMax
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        try await engine.createTopic("a", partitions: 2)
        return engine
    }

    private func record(_ value: String, partition: Int32 = 0) -> ProducerRecord {
        ProducerRecord(topic: "a", partition: partition, key: nil, value: value)
    }

    @Test("a record is written and synced where it is sent: the task never gives its thread away")
    func inPlace() async throws {
        let engine = try await engine(threadsMax: 1)
        let producer = try engine.producer()
        let hasGivenWay = Atomic<Bool>(false)
        try await Task(executorPreference: engine.taskExecutor) {
            // There is one thread, so this runs as soon as the task lets go of it.
            engine.workers.submit { hasGivenWay.store(true, ordering: .relaxed) }
            for number in 0..<100 {
                let sent = try await producer.send(record("\(number)"))
                #expect(sent.offset == Offset(Int64(number)))
            }
            let hasGivenWay = hasGivenWay.load(ordering: .relaxed)
            #expect(!hasGivenWay)
        }.value
        let log = try engine.partition(0, of: "a").log
        #expect(log.recoveryPoint == Offset(100))
        try await engine.close()
    }

    @Test("tasks on the engine's threads and others share partitions: none is lost, none twice")
    func mixed() async throws {
        let engine = try await engine()
        let producer = try engine.producer()
        let perTask = 200
        let offsets = try await withThrowingTaskGroup(of: [Int64].self) { group in
            for task in 0..<16 {
                let executor = task % 2 == 0 ? engine.taskExecutor : nil
                group.addTask(executorPreference: executor) {
                    var own: [Int64] = []
                    for number in 0..<perTask {
                        let sent = try await producer.send(
                            record("\(task) \(number)", partition: Int32(task % 4 / 2)))
                        own.append(sent.offset.rawValue)
                    }
                    // What a task sends keeps its order.
                    #expect(own == own.sorted())
                    return own
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        let expected = (0..<Int64(8 * perTask)).flatMap { [$0, $0] }
        #expect(offsets.sorted() == expected)
        try await engine.close()
    }

    @Test("once the engine is closed its tasks go on elsewhere, and hear that it is")
    func closed() async throws {
        let engine = try await engine()
        let producer = try engine.producer()
        let task = Task(executorPreference: engine.taskExecutor) {
            while true { _ = try await producer.send(record("x")) }
        }
        try await engine.close()
        await #expect(throws: EngineError.closed) { try await task.value }
        let late = Task(executorPreference: engine.taskExecutor) {
            await Task.yield()
            return 7
        }
        #expect(await late.value == 7)
    }
}
