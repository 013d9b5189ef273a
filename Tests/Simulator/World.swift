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
    let network = Network()
    var store = CoordinationLedger(historyCountMax: 200)
    private(set) var members: [SimulatedMember] = []
    private(set) var clients: [any SimulatedClient] = []
    let partitionCount: Int
    let configuration: ReplicationConfiguration
    /// No more faults; clients go on.
    private(set) var isHealed = false

    init(_ options: Simulation.Options) {
        self.options = options
        random = SeededGenerator(seed: options.seed)
        partitionCount = Int.random(in: 1...2, using: &random)
        history = History(partitionCount: partitionCount)
        configuration = ReplicationConfiguration(
            inSyncReplicasMin: Int.random(in: 1...2, using: &random), lagMillisecondsMax: 600)
        let count = [2, 3, 3, 3, 4].randomElement(using: &random) ?? 3
        members = (0..<count).map { SimulatedMember(ReplicaID(Int32($0)), in: self) }
        for number in 0..<3 {
            clients.append(SimulatedProducer(number, in: self))
        }
        for _ in 0..<2 { clients.append(SimulatedConsumer(in: self)) }
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

    func schedule(after delay: Int64, _ action: @escaping () -> Void) {
        queue.add(at: now + max(delay, 0), action)
    }

    func run(until end: Int64) {
        while history.violations.isEmpty, let event = queue.next(until: end) {
            now = max(now, event.time)
            eventCount += 1
            store.expire(now: CoordinationInstant(milliseconds: now))
            event.action()
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

    func member(_ id: ReplicaID) -> SimulatedMember { members[Int(id.rawValue)] }
}
