import Foundation
import Synchronization
import Tally
import TallyStateStore
import TallyTestSupport

/// An application that reads orders and writes for each a reservation and an invoice, to two
/// topics; and that dies where it is told.
///
/// Thread rule: any task.
final class TopicToTopic: Sendable {
    /// How positions and outputs belong together.
    enum Guarantee: String, CaseIterable, Sendable {
        /// Send, then commit the position: what dies in between is sent again.
        case atLeastOnce = "at-least-once"
        /// Both in one transaction of the log.
        case exactlyOnce = "exactly-once"
    }

    /// Where it dies, in the order in which it comes there. Without a transaction the offsets are
    /// committed at once, and the last two are the same.
    enum Point: Int, CaseIterable, Sendable {
        case beforeSends, betweenSends, afterSends, afterOffsets, afterCommit
    }

    struct Crash: Error {}

    /// Where somebody died: at which order, and behind which point.
    struct Death: Sendable {
        var order: Int
        var point: Point
    }

    static let inputs = "orders"
    static let outputs = ["reservations", "invoices"]
    static let group = "shipping"

    let engine: Engine
    let guarantee: Guarantee
    private let path: String
    /// Asked at each point.
    private let isFatal: @Sendable (Death) -> Bool
    /// How often an order was sent to each topic, over all lives.
    private let sent: Mutex<[String: [Int: Int]]>
    private let deaths: Mutex<[Death]>

    /// Opens the files of an application that never was, or of one that died.
    ///
    /// - Parameter before: the one that died; what is remembered of it goes on.
    init(
        at path: String, _ guarantee: Guarantee, after before: TopicToTopic? = nil,
        dying isFatal: @escaping @Sendable (Death) -> Bool = { _ in false }
    ) async throws {
        self.path = path
        self.guarantee = guarantee
        self.isFatal = isFatal
        sent = Mutex(before?.sentCounts ?? [:])
        deaths = Mutex(before?.allDeaths ?? [])
        engine = try await GroupScenario.open(at: path)
    }

    /// The process is killed: its files as they are now, opened by another. Whatever it still does
    /// itself does not count.
    func crash(
        to copy: String, dying isFatal: @escaping @Sendable (Death) -> Bool = { _ in false }
    ) async throws -> TopicToTopic {
        try copyLiveDirectory(path, to: copy)
        try await engine.close()
        return try await TopicToTopic(at: copy, guarantee, after: self, dying: isFatal)
    }

    func sell(_ numbers: Range<Int>, partitions: Int) async throws {
        for topic in [Self.inputs] + Self.outputs {
            try await GroupScenario.createTopic(topic, partitions: partitions, in: engine)
        }
        try await GroupScenario.send(
            numbers.map { (key: "order-\($0)", value: "\($0)") }, to: Self.inputs, in: engine)
    }

    // MARK: The work

    /// Works on orders until it is cancelled, or dies. One record an element.
    func ship(as member: String) async throws {
        var reading = GroupConsumerConfiguration()
        reading.reading.reset = .earliest
        reading.reading.isolation = .readCommitted
        reading.reading.fetchBytesMax = 1
        let consumer = try engine.consumer(
            group: Self.group, topics: [Self.inputs], reading)
        do {
            let producer = try await producer(of: member)
            for try await orders in consumer {
                try await ship(orders, of: consumer, producer)
            }
            try await consumer.close()
        } catch {
            // A member that is gone would hold its partitions until its session is over.
            try? await consumer.close()
            guard !(error is CancellationError) else { return }
            throw error
        }
    }

    private func producer(of member: String) async throws -> Producer {
        var writing = ProducerConfiguration()
        guard guarantee == .exactlyOnce else { return try engine.producer(writing) }
        writing.transactionalID = "\(Self.group)-\(member)"
        let producer = try engine.producer(writing)
        try await producer.initTransactions()
        return producer
    }

    private func ship(
        _ orders: ConsumedRecords, of consumer: GroupConsumer, _ producer: Producer
    ) async throws {
        let order = try Self.values(of: orders)[0]
        let isTransaction = guarantee == .exactlyOnce
        if isTransaction { try producer.beginTransaction() }
        try pass(.beforeSends, order)
        for (topic, point) in zip(Self.outputs, [Point.betweenSends, .afterSends]) {
            _ = try await producer.send(key: "order-\(order)", value: "\(order)", to: topic)
            sent.withLock { $0[topic, default: [:]][order, default: 0] += 1 }
            try pass(point, order)
        }
        if isTransaction {
            try await producer.sendOffsets(behind: orders, of: consumer)
        } else {
            try await consumer.commit(orders)
        }
        try pass(.afterOffsets, order)
        if isTransaction { try await producer.commitTransaction() }
        try pass(.afterCommit, order)
    }

    private func pass(_ point: Point, _ order: Int) throws {
        let death = Death(order: order, point: point)
        guard isFatal(death) else { return }
        deaths.withLock { $0.append(death) }
        throw Crash()
    }

    // MARK: What became of it

    var allDeaths: [Death] { deaths.withLock { $0 } }
    private var sentCounts: [String: [Int: Int]] { sent.withLock { $0 } }

    /// How often each order was sent to a topic, whatever became of it.
    func sentCounts(to topic: String) -> [Int: Int] { sentCounts[topic] ?? [:] }

    /// How many orders the group is through with.
    func finishedCount() async throws -> Int {
        try await engine.committedOffsets(ofGroup: Self.group).values
            .reduce(0) { $0 + Int($1.offset.rawValue) }
    }

    /// The orders in a topic, by partition, each in the log's order.
    func orders(in topic: String, _ isolation: IsolationLevel) async throws -> [Int32: [Int]] {
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.isolation = isolation
        var orders: [Int32: [Int]] = [:]
        for try await records in try engine.consumer(of: topic, configuration) {
            orders[records.partition, default: []] += try Self.values(of: records)
        }
        return orders
    }

    /// How often each order is in a topic.
    func counts(of topic: String, _ isolation: IsolationLevel) async throws -> [Int: Int] {
        let orders = try await orders(in: topic, isolation).values.joined()
        return Dictionary(orders.map { ($0, 1) }, uniquingKeysWith: +)
    }

    private static func values(of records: ConsumedRecords) throws -> [Int] {
        var values: [Int] = []
        try records.forEachRecord { values.append(Int($0.valueText ?? "") ?? -1) }
        return values
    }
}
