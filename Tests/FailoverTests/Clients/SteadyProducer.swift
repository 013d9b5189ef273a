import Synchronization
import TallyClient
import TallyRecords
import TallyWire

/// Writes numbers to all partitions of a topic without end, as an idempotent producer with
/// acks=all that tries each batch again until it is acknowledged, and remembers where each was.
///
/// One batch at a time to each partition. Thread rule: any task.
final class SteadyProducer: Sendable {
    /// A batch that was acknowledged.
    struct Acknowledgement: Sendable {
        var offset: Offset
        var numbers: Range<Int>
        var at: ContinuousClock.Instant
    }

    /// An attempt that was not.
    struct Refusal: Sendable {
        var partition: Int32
        var at: ContinuousClock.Instant
        /// What the broker said; nil where there was no answer.
        var code: ErrorCode?
    }

    private struct State {
        var acknowledged: [Int32: [Acknowledgement]] = [:]
        var refusals: [Refusal] = []
        /// What no producer goes on after.
        var failures: [String] = []
        var tasks: [Task<Void, Never>] = []
        /// When it was told to end; nil while it was not.
        var endsSince: ContinuousClock.Instant?
    }

    private static let batchCount = 20
    private let client: ClusterClient
    private let topic: String
    private let pause: Duration
    private let state = Mutex(State())

    /// - Parameter pause: between two batches of a partition.
    init(_ client: ClusterClient, topic: String, pause: Duration = .milliseconds(4)) {
        self.client = client
        self.topic = topic
        self.pause = pause
    }

    /// Begins, with a new producer id.
    func start(partitions: Int32) async throws {
        var request = InitProducerIDRequest()
        request.transactionalID = nil
        let identity = try await client.ask(.any, request, about: "a producer") {
            ($0.errorCode, nil)
        }
        for partition in 0..<partitions {
            let task = Task {
                await self.run(partition, identity.producerID, identity.producerEpoch)
            }
            state.withLock { $0.tasks.append(task) }
        }
    }

    /// Ends when the last batches are acknowledged, so that there is none of which nobody knows.
    func stop() async {
        let tasks = state.withLock { state in
            state.endsSince = .now
            defer { state.tasks = [] }
            return state.tasks
        }
        for task in tasks { await task.value }
        await client.close()
    }

    private func run(_ partition: Int32, _ id: Int64, _ epoch: Int16) async {
        let place = TopicPartition(topic: topic, partition: partition)
        var next = 0
        while state.withLock({ $0.endsSince == nil }) {
            let numbers = next..<next + Self.batchCount
            let producer = BatchProducer(id: id, epoch: epoch, baseSequence: Int32(next))
            guard let batch = try? Numbers.batch(numbers, producer: producer),
                let offset = await send(batch, to: place)
            else { return }
            state.withLock {
                $0.acknowledged[partition, default: []].append(
                    Acknowledgement(offset: offset, numbers: numbers, at: .now))
            }
            next = numbers.upperBound
            try? await Task.sleep(for: pause)
        }
    }

    /// Sends until it is acknowledged; nil where it never will be.
    private func send(_ batch: [UInt8], to place: TopicPartition) async -> Offset? {
        let request = ProduceRequest(batch, to: place, timeoutMilliseconds: 1000)
        while state.withLock({ $0.endsSince ?? .now > .now - .seconds(30) }) {
            var code: ErrorCode?
            do {
                let connection = try await client.connect(.leader(place))
                let answer = try await connection.send(request, waitMilliseconds: 1000)
                let result = answer.responses.first?.partitions.first
                code = result?.errorCode ?? .unknownServerError
                if code == ErrorCode.none { return result.map { Offset($0.baseOffset) } }
            } catch let error as ClientError where error.isRetriable {
                code = error.code
            } catch {
                return fail("\(place): \(error)")
            }
            if let code, !code.isRetriable { return fail("\(place): \(code)") }
            let refusal = Refusal(partition: place.partition, at: .now, code: code)
            state.withLock { $0.refusals.append(refusal) }
            await client.doubt()
            try? await Task.sleep(for: .milliseconds(20))
        }
        return fail("\(place): not acknowledged 30 s after the end")
    }

    private func fail(_ text: String) -> Offset? {
        state.withLock { $0.failures.append(text) }
        return nil
    }

    // MARK: What has happened

    /// What was acknowledged, by partition and in order.
    var acknowledged: [Int32: [Acknowledgement]] { state.withLock { $0.acknowledged } }
    var refusals: [Refusal] { state.withLock { $0.refusals } }
    var failures: [String] { state.withLock { $0.failures } }

    /// How many batches were acknowledged, of each partition.
    var counts: [Int32: Int] { acknowledged.mapValues(\.count) }

    /// The longest time without an acknowledgement of a partition, between two moments.
    func longestSilence(
        since begin: ContinuousClock.Instant, until end: ContinuousClock.Instant = .now
    ) -> Duration {
        acknowledged.values.map { list in
            let moments = list.map(\.at).filter { begin <= $0 && $0 <= end }
            return zip([begin] + moments, moments + [end]).map { $1 - $0 }.max() ?? end - begin
        }.max() ?? end - begin
    }
}

extension ProduceRequest {
    /// A batch for one partition, with acks=all if nothing else is said.
    init(
        _ batch: [UInt8], to place: TopicPartition, timeoutMilliseconds: Int32, acks: Int16 = -1
    ) {
        self.init()
        self.acks = acks
        self.timeoutMilliseconds = timeoutMilliseconds
        var topic = Topic()
        topic.name = place.topic
        var partition = Partition()
        partition.index = place.partition
        partition.records = batch[...]
        topic.partitions = [partition]
        topics = [topic]
    }
}
