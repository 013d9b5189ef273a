import TallyLog
import TallyRecords
import TallyReplication

/// Something that uses the cluster.
protocol SimulatedClient: AnyObject {
    func start()
}

/// Sends one record after the other to a partition, each until it is acknowledged.
final class SimulatedProducer: SimulatedClient {
    private let number: Int
    private unowned let world: World
    private let partition: Int
    private var sequence: Int32 = 0
    private var attempt = 0
    private var guess: ReplicaID
    private(set) var acknowledgedCount = 0

    init(_ number: Int, in world: World) {
        self.number = number
        self.world = world
        partition = number % world.dataPartitionCount
        guess = ReplicaID(0)
    }

    func start() { send() }

    private func send() {
        attempt += 1
        let current = attempt
        // The ids of idempotent producers come from elsewhere: they are none of the store's.
        let sent = SimulatedRecord(
            producer: BatchProducer(
                id: Int64(1_000_000 + number), epoch: 0, baseSequence: sequence),
            content: .data(number))
        let receiver = world.member(guess)
        world.network.send(.client, receiver.place, in: world) { [self] in
            receiver.run { [self] in
                receiver.replicas[partition].produce(sent) { [self] answer in
                    if case .stored(let offset, let epoch) = answer {
                        check(sent.producer, offset, epoch, by: receiver)
                    }
                    world.network.send(receiver.place, .client, in: world) { [self] in
                        if attempt == current { hear(answer) }
                    }
                }
            }
        }
        world.schedule(after: 400) { [self] in
            if attempt == current { tryElsewhere() }
        }
    }

    /// What must hold at the moment of the answer, whether it arrives or not.
    private func check(
        _ sent: BatchProducer, _ offset: Offset, _ epoch: LeaderEpoch, by leader: SimulatedMember
    ) {
        if world.store.entry(of: Keys.member(leader.id)) == nil {
            world.history.violate(
                .leaseHolds, "\(leader.id) acknowledges without a lease, in epoch \(epoch)")
        }
        world.history.acknowledge(
            History.Acknowledgement(
                partition: partition, producer: sent, offset: offset, epoch: epoch))
    }

    private func hear(_ answer: ProduceAnswer) {
        attempt += 1
        switch answer {
        case .stored:
            sequence += 1
            acknowledgedCount += 1
            let current = attempt
            world.schedule(after: Int64.random(in: 0...30, using: &world.random)) { [self] in
                if attempt == current { send() }
            }
        case .refused, .notLeader, .fenced: tryElsewhere()
        }
    }

    private func tryElsewhere() {
        attempt += 1
        guess = world.members[Int.random(in: 0..<world.members.count, using: &world.random)].id
        let current = attempt
        world.schedule(after: 30) { [self] in if attempt == current { send() } }
    }
}

/// Reads a partition from its beginning, over and over, at whoever leads.
final class SimulatedConsumer: SimulatedClient {
    private unowned let world: World
    private let isolation: IsolationLevel
    private let partition: Int
    private var position = Offset.zero
    private var highest = Offset.zero
    private var epoch = LeaderEpoch.none
    private var attempt = 0
    private var guess = ReplicaID(0)

    /// - Parameter partition: nil for one by chance.
    init(_ isolation: IsolationLevel, of partition: Int? = nil, in world: World) {
        self.world = world
        self.isolation = isolation
        self.partition =
            partition ?? Int.random(in: 0..<world.dataPartitionCount, using: &world.random)
    }

    func start() { fetch() }

    private func fetch() {
        attempt += 1
        let current = attempt
        let receiver = world.member(guess)
        let (position, epoch, isolation) = (position, epoch, isolation)
        world.network.send(.client, receiver.place, in: world) { [self] in
            receiver.run { [self] in
                let answer = receiver.replicas[partition].consume(
                    from: position, in: epoch, isolation)
                world.network.send(receiver.place, .client, in: world) { [self] in
                    if attempt == current { hear(answer) }
                }
            }
        }
        world.schedule(after: 300) { [self] in if attempt == current { tryElsewhere() } }
    }

    private func hear(_ answer: ConsumeAnswer) {
        attempt += 1
        switch answer {
        case .records(let batch): take(batch)
        case .later: break
        case .notLeader: return tryElsewhere()
        }
        let current = attempt
        world.schedule(after: 25) { [self] in if attempt == current { fetch() } }
    }

    private func take(_ batch: ConsumedBatch) {
        if batch.highWatermark < highest {
            world.history.violate(
                .highWatermarkRises,
                "the high watermark of \(partition) fell from \(highest) to "
                    + "\(batch.highWatermark)")
        }
        highest = max(highest, batch.highWatermark)
        epoch = max(epoch, batch.epoch)
        for record in batch.records {
            world.history.consume(record, at: position, of: partition)
            if isolation == .readCommitted, record.marker == nil, !batch.hides(record, at: position)
            {
                world.history.show(record, at: position, of: partition)
            }
            position = position.advanced(by: 1)
        }
        // Who has read everything begins anew: what was read must still be there.
        if batch.records.isEmpty, world.chance(0.05) { position = .zero }
    }

    private func tryElsewhere() {
        attempt += 1
        guess = world.members[Int.random(in: 0..<world.members.count, using: &world.random)].id
        let current = attempt
        world.schedule(after: 30) { [self] in if attempt == current { fetch() } }
    }
}
