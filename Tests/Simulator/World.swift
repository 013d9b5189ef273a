import TallyLog
import TallyRecords
import TallyReplication
import TallyTestSupport

/// Everything there is in a run, and what time it is.
final class World {
    let options: Simulation.Options
    var random: SeededGenerator
    private(set) var now: Int64 = 0
    private(set) var eventCount = 0
    private var queue = EventQueue()

    let history: History
    let nemesis = Nemesis()
    let lostDisks = LostDisks()
    let network = Network()
    var store = CoordinationLedger(historyCountMax: 200)
    private(set) var members: [SimulatedMember] = []
    private(set) var clients: [any SimulatedClient] = []
    /// All partitions: those of the topic `t`, and behind them those of internal topics.
    let partitionCount: Int
    /// The partitions of the topic `t`.
    let dataPartitionCount: Int
    /// The partition of each internal topic that there is.
    let internalPartitions: [InternalTopic: Int]
    let configuration: ReplicationConfiguration
    /// Whether the logs are real ones.
    let hasStoredLogs: Bool
    /// No more faults; clients go on.
    private(set) var isHealed = false

    init(_ options: Simulation.Options) {
        self.options = options
        hasStoredLogs =
            options.storage == .stored
            || options.storage == .mixed && options.seed.isMultiple(of: 8)
        random = SeededGenerator(seed: options.seed)
        let work = Work.allCases.randomElement(using: &random) ?? .records
        let count = Int.random(in: 1...2, using: &random)
        var internals: [InternalTopic: Int] = [:]
        switch work {
        case .records, .moreRecords: break
        case .groups: internals = [.consumerOffsets: count]
        case .transactions: internals = [.transactionState: count, .consumerOffsets: count + 1]
        }
        dataPartitionCount = count
        internalPartitions = internals
        partitionCount = count + internals.count
        history = History(partitionCount: partitionCount)
        configuration = ReplicationConfiguration(
            inSyncReplicasMin: Int.random(in: 1...2, using: &random), lagMillisecondsMax: 600)
        let memberCount = [2, 3, 3, 3, 4].randomElement(using: &random) ?? 3
        members = (0..<memberCount).map { SimulatedMember(ReplicaID(Int32($0)), in: self) }
        addClients(work)
    }

    /// What a run is about. Most of all runs, which are cheaper, are about records alone.
    private enum Work: CaseIterable { case records, moreRecords, transactions, groups }

    private func addClients(_ work: Work) {
        for number in 0..<(work == .transactions ? dataPartitionCount : 3) {
            clients.append(SimulatedProducer(number, in: self))
        }
        for _ in 0..<2 { clients.append(SimulatedConsumer(.readUncommitted, in: self)) }
        switch work {
        case .records, .moreRecords: break
        case .transactions:
            // Two of three have the same id, where chance will have it: they fence each other.
            let isShared = chance(0.3)
            for number in 0..<3 {
                let id = "tx-\(isShared ? number / 2 : number)"
                clients.append(TransactionalProducer(number, id, in: self))
            }
            for partition in 0..<dataPartitionCount {
                clients.append(SimulatedConsumer(.readCommitted, of: partition, in: self))
            }
        case .groups:
            for number in 0..<3 { clients.append(GroupConsumer(number, in: self)) }
        }
    }

    func start() {
        for partition in 0..<partitionCount {
            let replicas = members.map(\.id).shuffled(using: &random).prefix(3)
            write(PartitionState(newWith: Array(replicas)), of: partition)
        }
        for member in members { member.start() }
        for client in clients { client.start() }
        nemesis.start(in: self)
    }

    private func write(_ state: PartitionState, of partition: Int) {
        let operation = CoordinationOperation.put(
            key: Keys.partition(partition), value: Keys.encode(state))
        guard let transaction = try? CoordinationTransaction(operations: [operation]),
            (try? store.commit(transaction)) != nil
        else { return history.violate(.recovers, "the store refuses a new partition") }
    }

    // MARK: Time

    /// Whether the end is so near that nobody begins a transaction any more: all of them have ended
    /// in the end.
    var isEnding: Bool {
        now > options.faultMilliseconds + options.recoveryMilliseconds - 5000
    }

    func schedule(after delay: Int64, _ action: @escaping () -> Void) {
        queue.add(at: now + max(delay, 0), action)
    }

    func run(until end: Int64) {
        while history.violations.isEmpty, !lostDisks.isPromiseVoid,
            let event = queue.next(until: end)
        {
            now = max(now, event.time)
            eventCount += 1
            store.expire(now: CoordinationInstant(milliseconds: now))
            lostDisks.look(at: self)
            event.action()
            lostDisks.look(at: self)
        }
        now = end
    }

    func chance(_ probability: Double) -> Bool {
        Double.random(in: 0..<1, using: &random) < probability
    }

    func trace(_ text: @autoclosure () -> String) {
        if options.isTraced { print("\(now) ms  \(text())") }
    }

    func has(_ flaw: Flaw) -> Bool { options.flaw == flaw }

    // MARK: The end

    func heal() {
        isHealed = true
        nemesis.heal(self)
    }

    func number(of place: TopicPartition) -> Int {
        InternalTopic(rawValue: place.topic).flatMap { internalPartitions[$0] }
            ?? Int(place.partition)
    }

    func place(of partition: Int) -> TopicPartition {
        for (topic, number) in internalPartitions where number == partition {
            return TopicPartition(topic: topic.rawValue, partition: 0)
        }
        return TopicPartition(topic: "t", partition: Int32(partition))
    }

    /// What the store holds of a partition.
    func state(of partition: Int) -> PartitionState? {
        store.entry(of: Keys.partition(partition)).flatMap { Keys.decodeState($0.value) }
    }

    func member(_ id: ReplicaID) -> SimulatedMember { members[Int(id.rawValue)] }
}
