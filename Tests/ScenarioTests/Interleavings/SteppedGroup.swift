import Foundation
import Tally
import TallyTestSupport
import Testing

/// A topic, and a group whose members do one thing at a time, held against a model that says what
/// each of them sees. Which member does what next is the seed's to say: the same seed gives the
/// same interleaving.
///
/// A crash is a copy of all files at that moment, as a killed process leaves them; what goes on is
/// the copy. Used by one task.
final class SteppedGroup {
    static let topic = "events"
    static let group = "readers"
    static let resets: [OffsetReset] = [
        .none, .earliest, .latest, .nearest, .duration(milliseconds: 3_600_000),
    ]

    private(set) var engine: Engine
    private var producer: Producer
    private(set) var members: [SteppedMember] = []
    var partitions: [PartitionModel]
    var generator: SeededGenerator
    let reset: OffsetReset
    /// What is done with partitions that a member gets; where it seeks, `startsAt` says whereto.
    var taking: SteppedMember.Taking?
    var startsAt: ((_ partition: Int) -> Int?)?
    private let parent: String
    private(set) var path: String
    private var crashCount = 0
    private var memberCount = 0
    /// What has happened, for the message of a failure.
    private var story: [String] = []

    init(in parent: String, seed: UInt64, partitionCount: Int, reset: OffsetReset) async throws {
        self.parent = parent
        self.reset = reset
        path = "\(parent)/0"
        generator = SeededGenerator(seed: seed)
        partitions = Array(repeating: PartitionModel(), count: partitionCount)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        engine = try await GroupScenario.open(at: path + "/data")
        producer = try engine.producer()
        try await GroupScenario.createTopic(Self.topic, partitions: partitionCount, in: engine)
    }

    func id(_ partition: Int) -> TopicPartition {
        TopicPartition(topic: Self.topic, partition: Int32(partition))
    }

    /// Has the next failure tell of this.
    func tell(_ line: String) { story.append(line) }

    /// The seed, and what came of it.
    var told: Comment {
        let latest = story.suffix(30).joined(separator: "; ")
        return "TALLY_SEED=\(generator.seed), \(partitions.count) partitions, \(reset): \(latest)"
    }

    // MARK: The log

    /// Sends a record in a batch of its own to where its key belongs; which partition that is.
    func send(key: String) async throws -> Int {
        let sent = try await producer.send(key: key, value: key, to: Self.topic)
        let partition = Int(sent.partition)
        #expect(sent.offset == Offset(Int64(partitions[partition].end)), told)
        partitions[partition].values.append(key)
        partitions[partition].isOld.append(false)
        return partition
    }

    /// Sends records, each in a batch of its own; old ones are older than what a duration wants.
    func send(_ count: Int, to partition: Int, isOld: Bool = false) async throws {
        tell("\(count)\(isOld ? " old" : "") to \(partition)")
        for _ in 0..<count {
            let number = partitions[partition].end
            var record = ProducerRecord(
                topic: Self.topic, partition: Int32(partition), key: "\(partition)",
                value: "\(partition) \(number)")
            if isOld { record.timestamp = Timestamp(milliseconds: Self.longAgo) }
            #expect(try await producer.send(record).offset == Offset(Int64(number)), told)
            partitions[partition].values.append("\(partition) \(number)")
            partitions[partition].isOld.append(isOld)
        }
    }

    private static var longAgo: Int64 { Int64(Date().timeIntervalSince1970 * 1000) - 36_000_000 }

    func deleteRecords(of partition: Int, before offset: Int) async throws {
        tell("\(partition) begins at \(offset)")
        _ = try await engine.deleteRecords(
            ofTopic: Self.topic, partition: Int32(partition), before: Offset(Int64(offset)))
        partitions[partition].start = max(partitions[partition].start, offset)
    }

    // MARK: Members

    func join(commitsWhatIsTaken: Bool) async throws {
        tell("\(memberCount) joins")
        members.append(
            try SteppedMember(
                memberCount, of: Self.group, topics: [Self.topic], in: engine, reset: reset,
                commitsWhatIsTaken: commitsWhatIsTaken, taking: taking))
        memberCount += 1
        try await settle()
    }

    /// A member leaves in order.
    func leave(_ number: Int) async throws {
        tell("\(number) leaves")
        let member = try member(number)
        members.removeAll { $0 === member }
        try await member.leave()
        noteCommitted(member.takeCommitted())
        try await settle()
    }

    /// A member is gone without a word.
    func die(_ number: Int) async throws {
        tell("\(number) dies")
        let index = try #require(members.firstIndex { $0.number == number })
        // Nobody else is to hold it: the group notices when its consumer is dropped.
        await members.remove(at: index).die()
        try await settle()
    }

    private func member(_ number: Int) throws -> SteppedMember {
        try #require(members.first { $0.number == number }, told)
    }

    /// One of them, by its number; nil where there is none.
    func anyMember() -> Int? { members.randomElement(using: &generator)?.number }

    /// The process is killed, or stopped in order without its members leaving first.
    func restart(crashing isCrash: Bool) async throws {
        tell(isCrash ? "crash" : "restart")
        var copy = path
        if isCrash {
            crashCount += 1
            copy = "\(parent)/\(crashCount)"
            try copyLiveDirectory(path, to: copy)
        }
        for member in members { await member.die() }
        try await engine.close()
        members = []
        path = copy
        engine = try await GroupScenario.open(at: path + "/data")
        producer = try engine.producer()
        for index in partitions.indices { partitions[index].release() }
    }

    func close() async throws {
        for member in members { await member.die() }
        try await engine.close()
    }

    // MARK: The group

    /// Waits until the group has shared out its partitions, and notes who begins where.
    func settle() async throws {
        var isSettled = false
        for _ in 0..<20_000 where !isSettled {
            try await noteEvents()
            isSettled = try await isStable()
            if !isSettled { try await Task.sleep(for: .milliseconds(1)) }
        }
        try #require(isSettled, told)
        try await noteEvents()
        for (index, partition) in partitions.enumerated() {
            let owner = members.first { $0.number == partition.owner }
            let position = owner?.consumer.positions[id(index)]
            #expect(position == partition.position.map { Offset(Int64($0)) }, told)
        }
        let counts = members.map { $0.consumer.assignment.count }
        #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1, told)
    }

    private func isStable() async throws -> Bool {
        let found: GroupDescription
        do {
            found = try await engine.describeGroup(Self.group)
        } catch EngineError.group(.groupIDNotFound) {
            return members.isEmpty
        }
        guard found.members.count == members.count else { return false }
        if members.isEmpty {
            for index in partitions.indices { partitions[index].release() }
            return true
        }
        // Between the two rebalances of one change somebody's partitions are nobody's yet.
        let lags = try await engine.lag(ofGroup: Self.group)
        guard lags.count == partitions.count, lags.allSatisfy({ $0.memberID != nil }) else {
            return false
        }
        let assigned = members.flatMap { $0.consumer.assignment }
        // Its listener is through with what it got.
        let isNoted = members.allSatisfy { member in
            member.consumer.assignment.allSatisfy {
                partitions[Int($0.partition)].owner == member.number
            }
        }
        return found.state == .stable && isNoted && assigned.count == partitions.count
            && Set(assigned).count == partitions.count
            && members.allSatisfy { member in
                member.consumer.generation == found.generation && member.failure == nil
                    && member.consumer.positions.count == member.consumer.assignment.count
            }
    }

    /// What was committed on the way came before what was assigned because of it.
    private func noteEvents() async throws {
        let assigned = members.map { ($0, $0.takeAssigned()) }
        for member in members { noteCommitted(member.takeCommitted()) }
        for (member, partitions) in assigned {
            for index in partitions.map({ Int($0.partition) }) {
                self.partitions[index].release()
                self.partitions[index].turn += 1
                self.partitions[index].owner = member.number
                let wanted = startsAt.map { $0(index) } ?? self.partitions[index].committed
                self.partitions[index].position = self.partitions[index].begin(at: wanted, reset)
            }
        }
        for member in members where member.failure != nil { try await mend(member) }
    }

    private func noteCommitted(_ offsets: [TopicPartition: OffsetToCommit]) {
        for (partition, offset) in offsets {
            let index = Int(partition.partition)
            #expect(offset.offset.rawValue == partitions[index].handled.map { Int64($0) }, told)
            partitions[index].committed = Int(offset.offset.rawValue)
        }
    }

    /// Nobody but the application says where to begin: it is told so, and does.
    private func mend(_ member: SteppedMember) async throws {
        let error = try #require(member.failure)
        let lost = partitions.indices.filter {
            partitions[$0].owner == member.number && partitions[$0].position == nil
        }
        guard case EngineError.offsetUnavailable(let told)? = error as? EngineError,
            let named = lost.first(where: { id($0).description == told.partition })
        else { throw error }
        tell("\(named) has no position")
        expect(told, of: named, committed: partitions[named].committed)
        for index in lost { try await seekAnywhere(in: index, member) }
        member.goOn()
    }

    private func expect(_ offset: UnavailableOffset, of partition: Int, committed: Int?) {
        #expect(offset.group == Self.group, told)
        #expect(offset.committed == committed.map { Offset(Int64($0)) }, told)
        #expect(offset.logStart == Offset(Int64(partitions[partition].start)), told)
        #expect(offset.logEnd == Offset(Int64(partitions[partition].end)), told)
    }

    private func seekAnywhere(in partition: Int, _ member: SteppedMember) async throws {
        let model = partitions[partition]
        // Of its own: which of several members asks first is not the schedule's to say.
        var own = SeededGenerator(
            seed: generator.seed &+ UInt64(1000 * model.turn + partition &+ model.end))
        let target = Int.random(in: model.start...model.end, using: &own)
        try await seek(partition, to: target, by: member.number)
    }

    /// The application has a member go on somewhere else.
    func seek(_ partition: Int, to target: Int, by number: Int) async throws {
        tell("\(number) goes on at \(target) of \(partition)")
        try await member(number).consumer.seek(
            id(partition), to: .offset(Offset(Int64(target))))
        partitions[partition].position = target
    }

    // MARK: Steps of a member

    /// Has the owner of a partition read its next record, which is the one that the model says;
    /// nil where there is none, or the application had to say where to go on.
    func read(_ partition: Int) async throws -> (member: Int, records: ConsumedRecords)? {
        let model = partitions[partition]
        guard let member = members.first(where: { $0.number == model.owner }),
            let position = model.position, position != model.end
        else { return nil }
        let next = model.begin(at: position, reset)
        tell("\(member.number) reads \(partition) at \(position)")
        let end = Offset(Int64(model.end))
        let read = try await member.read(id(partition)) { next == model.end && $0 == end }
        switch read {
        case .success(let records):
            let offset = try #require(next, told)
            #expect(records.id == id(partition) && records.startOffset.rawValue == offset, told)
            #expect(records.nextOffset.rawValue == offset + 1, told)
            var values: [String] = []
            try records.forEachRecord { values.append($0.valueText ?? "") }
            #expect(values == [model.values[offset]], told)
            partitions[partition].position = offset + 1
            let lag = member.consumer.lag[id(partition)]
            #expect(lag == Int64(model.end - offset - 1), told)
            return (member.number, records)
        case .failure(let error):
            guard next == nil,
                case EngineError.offsetUnavailable(let offset)? = error as? EngineError
            else { throw error }
            expect(offset, of: partition, committed: position)
            try await seekAnywhere(in: partition, member)
            member.goOn()
        case nil:
            #expect(next == model.end, told)
            partitions[partition].position = model.end
        }
        return nil
    }

    /// The application is through with a record.
    func note(handled records: ConsumedRecords, by number: Int) throws {
        let partition = Int(records.partition)
        guard partitions[partition].owner == number else { return }
        partitions[partition].handled = Int(records.nextOffset.rawValue)
        try member(number).note(handled: records.position, in: records.id)
    }

    /// Commits the position behind a record, which works for as long as the member has the
    /// partition; whether it did.
    @discardableResult
    func commit(_ records: ConsumedRecords, by number: Int) async throws -> Bool {
        let partition = Int(records.partition)
        tell("\(number) commits \(records.nextOffset) of \(partition)")
        let isOwner = partitions[partition].owner == number
        do {
            try await member(number).consumer.commit(records)
            #expect(isOwner, told)
            partitions[partition].committed = Int(records.nextOffset.rawValue)
            return true
        } catch EngineError.group(let error) where error.isOvertaken && !isOwner {
            return false
        }
    }

    /// Commits all that its members are through with.
    func commitHandled() async throws {
        for index in partitions.indices {
            guard let owner = partitions[index].owner, let handled = partitions[index].handled
            else { continue }
            try await member(owner).consumer.commit([
                id(index): OffsetToCommit(offset: Offset(Int64(handled)))
            ])
            partitions[index].committed = handled
        }
        tell("all is committed")
    }

    /// Somebody else says how far the group is; it has no members just now.
    func commitOutside(_ offset: Int, of partition: Int) async throws {
        tell("\(partition) is put to \(offset)")
        try await engine.commitOffsets(
            [id(partition): OffsetToCommit(offset: Offset(Int64(offset)))], ofGroup: Self.group)
        partitions[partition].committed = offset
    }

    // MARK: What can be seen from outside

    /// How far the group is behind, and who reads what.
    func expectLags() async throws {
        let isKnown = !members.isEmpty || partitions.contains { $0.committed != nil }
        var found: [PartitionLag] = []
        do {
            found = try await engine.lag(ofGroup: Self.group)
        } catch EngineError.group(.groupIDNotFound) {
            #expect(!isKnown, told)
        }
        #expect(
            found.isEmpty == !isKnown && (found.isEmpty || found.count == partitions.count), told)
        var ids: [Int: Set<String>] = [:]
        for lag in found {
            let model = partitions[Int(lag.partition.partition)]
            #expect(
                lag.lag == model.lag
                    && lag.committed?.offset.rawValue == model.committed.map { Int64($0) }, told)
            #expect(lag.logStart?.rawValue == Int64(model.start), told)
            #expect(lag.logEnd?.rawValue == Int64(model.end), told)
            #expect((lag.memberID == nil) == (model.owner == nil), told)
            if let owner = model.owner { ids[owner, default: []].insert(lag.memberID ?? "") }
        }
        // A name for each member that has partitions, and no two of them the same.
        #expect(ids.values.allSatisfy { $0.count == 1 } && Set(ids.values).count == ids.count, told)
    }
}
