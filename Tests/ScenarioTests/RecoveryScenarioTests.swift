import Foundation
import Tally
import TallyStateStore
import TallyTestSupport
import Testing

/// A consumer that was stopped goes on where its group has committed, as long as the log still
/// holds that place; where it does not, it says so, and somebody decides.
@Suite("Scenario: consumer recovery", .timeLimit(.minutes(10)))
struct RecoveryScenarioTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let partition = TopicPartition(topic: "events", partition: 0)

    // MARK: The application

    private func produce(_ numbers: Range<Int>, to engine: Engine) async throws {
        try await GroupScenario.send(
            numbers.map { (key: "GOT:SKU-1", value: "\($0)") }, to: "events", in: engine)
    }

    private func consumer(
        _ engine: Engine, reset: OffsetReset = .none, group: String = "alerts"
    ) throws -> GroupConsumer {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = reset
        configuration.reading.fetchBytesMax = 1
        return try engine.consumer(group: group, topics: ["events"], configuration)
    }

    /// Reads so many records, and commits each.
    private func read(_ count: Int, from consumer: GroupConsumer) async throws -> [Int] {
        var numbers: [Int] = []
        var iterator = consumer.makeAsyncIterator()
        while numbers.count < count, let records = try await iterator.next() {
            try records.forEachRecord { numbers.append(Int($0.valueText ?? "") ?? -1) }
            try await consumer.commit(records)
        }
        return numbers
    }

    /// Starts a member, reads, and stops it again.
    private func read(
        _ count: Int, in engine: Engine, reset: OffsetReset = .none, group: String = "alerts"
    ) async throws -> [Int] {
        let consumer = try consumer(engine, reset: reset, group: group)
        let numbers = try await read(count, from: consumer)
        try await consumer.close()
        return numbers
    }

    private func setUp(
        records: Int, _ settings: [String: String] = [:]
    ) async throws -> Engine {
        let engine = try await GroupScenario.open(at: directory.path)
        try await GroupScenario.createTopic("events", partitions: 1, settings, in: engine)
        try await produce(0..<records, to: engine)
        return engine
    }

    // MARK: Within retention

    @Test("stopped, a backlog, started: it reads the backlog, all of it and nothing else")
    func backlog() async throws {
        let engine = try await setUp(records: 100)
        #expect(try await read(30, in: engine, reset: .earliest) == Array(0..<30))
        try await produce(100..<150, to: engine)
        let again = try consumer(engine)
        #expect(try await read(1, from: again) == [30])
        #expect(again.lag == [Self.partition: 119])
        #expect(try await read(119, from: again) == Array(31..<150))
        #expect(again.lag == [Self.partition: 0])
        try await again.close()
        try await engine.close()
    }

    @Test("the same after the whole application was stopped, and after it died")
    func restart() async throws {
        var engine = try await setUp(records: 20)
        #expect(try await read(5, in: engine, reset: .earliest) == Array(0..<5))
        try await engine.close()
        engine = try await GroupScenario.open(at: directory.path)
        try await produce(20..<25, to: engine)
        #expect(try await read(10, in: engine) == Array(5..<15))

        // The machine goes on with the files as they are now.
        let copy = try TemporaryDirectory()
        let path = copy.path("data")
        try copyLiveDirectory(directory.path, to: path)
        let second = try await GroupScenario.open(at: path)
        #expect(try await read(10, in: second) == Array(15..<25))
        try await second.close()
        try await engine.close()
    }

    // MARK: Beyond retention

    /// A group that has committed 10 of 100 records, of which retention has left the last few.
    private func retired() async throws -> (engine: Engine, logStart: Int) {
        let engine = try await setUp(
            records: 100, ["segment.bytes": "500", "file.delete.delay.ms": "0"])
        #expect(try await read(10, in: engine, reset: .earliest) == Array(0..<10))
        try await engine.alterTopic(
            "events", setting: ["retention.bytes": "2000"])
        try await engine.enforceRetention()
        let start = try engine.describeTopic("events").partitions[0].logStart
        #expect(start > Offset(10) && start < Offset(100))
        return (engine, Int(start.rawValue))
    }

    @Test("beyond retention it stops with what was committed and what there is, each time")
    func error() async throws {
        let (engine, logStart) = try await retired()
        let consumer = try consumer(engine)
        for _ in 0..<2 {
            let error = await GroupScenario.error { _ = try await read(1, from: consumer) }
            guard case EngineError.offsetUnavailable(let offset)? = error else {
                Issue.record("\(String(describing: error)) is not what happened")
                return
            }
            #expect(offset.partition == "events-0" && offset.group == "alerts")
            #expect(offset.committed == Offset(10))
            #expect(offset.logStart == Offset(Int64(logStart)) && offset.logEnd == Offset(100))
            #expect("\(EngineError.offsetUnavailable(offset))".contains("auto.offset.reset"))
        }
        // Somebody has decided: the same consumer goes on from there.
        try await consumer.seek(Self.partition, to: .offset(Offset(90)))
        #expect(try await read(10, from: consumer) == Array(90..<100))
        try await consumer.close()
        try await engine.close()
    }

    @Test("a position committed from outside is what a member that had none goes on from")
    func committedFromOutside() async throws {
        let (engine, _) = try await retired()
        try await engine.commitOffsets(
            [Self.partition: OffsetToCommit(offset: Offset(95))], ofGroup: "alerts")
        #expect(try await read(5, in: engine) == Array(95..<100))
        try await engine.close()
    }

    @Test("each reset policy goes on where it says")
    func policies() async throws {
        let (engine, logStart) = try await retired()
        let committed = try #require(
            try await engine.committedOffsets(ofGroup: "alerts")[Self.partition])
        func restore(_ offset: Offset) async throws {
            try await engine.commitOffsets(
                [Self.partition: OffsetToCommit(offset: offset)], ofGroup: "alerts")
        }
        #expect(try await read(1, in: engine, reset: .earliest) == [logStart])
        try await restore(committed.offset)
        #expect(
            try await read(1, in: engine, reset: .nearest) == [logStart], "the start is nearer")
        try await restore(Offset(5000))
        try await expectNewOnly(from: try consumer(engine, reset: .nearest), 100, engine)
        try await restore(committed.offset)
        try await expectNewOnly(from: try consumer(engine, reset: .latest), 101, engine)

        // Nothing is older than an hour; and everything is older than a moment from now.
        try await restore(committed.offset)
        #expect(
            try await read(1, in: engine, reset: .duration(milliseconds: 3_600_000))
                == [logStart])
        try await restore(committed.offset)
        try await expectNewOnly(
            from: try consumer(engine, reset: .duration(milliseconds: -60_000)), 102, engine)
        try await engine.close()
    }

    /// The member sees nothing of what is there, and what comes next.
    private func expectNewOnly(
        from consumer: GroupConsumer, _ number: Int, _ engine: Engine
    ) async throws {
        let reading = Task { try await read(1, from: consumer) }
        #expect(
            try await GroupScenario.eventually { consumer.positions[Self.partition] != nil })
        try await produce(number..<(number + 1), to: engine)
        #expect(try await reading.value == [number])
        try await consumer.close()
    }

    // MARK: Many histories

    @Test("random stops, restarts, commits and deletions: it reads what a model says")
    func histories() async throws {
        var generator = SeededGenerator.fromEnvironment()
        for round in 0..<5 { try await history(round, &generator) }
    }

    private func history(_ round: Int, _ generator: inout SeededGenerator) async throws {
        let path = directory.path("round-\(round)")
        var engine = try await GroupScenario.open(at: path)
        try await GroupScenario.createTopic("events", partitions: 1, in: engine)
        // All that there is to know: what was written, what is left, where the group stands.
        var (end, start, position) = (0, 0, Int?.none)
        for _ in 0..<40 {
            switch Int.random(in: 0..<7, using: &generator) {
            case 0, 1:
                let count = Int.random(in: 1...10, using: &generator)
                try await produce(end..<(end + count), to: engine)
                end += count
            case 2:
                try await engine.close()
                engine = try await GroupScenario.open(at: path)
            case 3:
                start = Int.random(in: start...end, using: &generator)
                _ = try await engine.deleteRecords(
                    ofTopic: "events", partition: 0, before: Offset(Int64(start)))
            default:
                let isLost = position.map { $0 < start } ?? true
                let policy: OffsetReset =
                    isLost && Bool.random(using: &generator) ? .earliest : .none
                if isLost, policy == .none {
                    let error = await GroupScenario.error {
                        _ = try await read(1, in: engine)
                    }
                    guard case EngineError.offsetUnavailable(let offset)? = error else {
                        Issue.record("\(String(describing: error)) is not what happened")
                        return
                    }
                    #expect(offset.committed == position.map { Offset(Int64($0)) })
                    #expect(offset.logStart == Offset(Int64(start)))
                    #expect(offset.logEnd == Offset(Int64(end)))
                } else {
                    let first = isLost ? start : position ?? 0
                    guard first < end else { break }
                    let count = Int.random(in: 1...(end - first), using: &generator)
                    let numbers = try await read(count, in: engine, reset: policy)
                    #expect(numbers == Array(first..<(first + count)), "round \(round)")
                    position = first + count
                }
            }
        }
        try await engine.close()
    }

    // MARK: Many interleavings

    /// A record that somebody has read and not committed.
    private struct Held {
        var member: Int
        var records: ConsumedRecords
    }

    @Test("members come, leave and die, logs lose their beginnings: all read what a model says")
    func interleavings() async throws {
        try await forEachInterleaving(8) { seed in
            var generator = SeededGenerator(seed: seed)
            let group = try await SteppedGroup(
                in: directory.path("\(seed)"), seed: seed,
                partitionCount: Int.random(in: 1...4, using: &generator),
                // Seeds that follow each other have all of them.
                reset: SteppedGroup.resets[Int(seed % UInt64(SteppedGroup.resets.count))])
            var held: [Held] = []
            do {
                for _ in 0..<40 {
                    try await step(group, &held)
                    try await group.expectLags()
                }
                try await readAll(group)
            } catch {
                Issue.record("\(error)\n\(group.told)")
            }
            try await group.close()
        }
    }

    private func step(_ group: SteppedGroup, _ held: inout [Held]) async throws {
        let partition = Int.random(in: 0..<group.partitions.count, using: &group.generator)
        let model = group.partitions[partition]
        switch Int.random(in: 0..<24, using: &group.generator) {
        case 0..<4:
            try await group.send(
                Int.random(in: 1...5, using: &group.generator), to: partition,
                isOld: Bool.random(using: &group.generator))
        case 4..<7:
            guard group.members.count < 4 else { break }
            try await group.join(commitsWhatIsTaken: Bool.random(using: &group.generator))
        case 7, 8:
            guard let member = group.anyMember() else { break }
            held.removeAll { $0.member == member }
            if Bool.random(using: &group.generator) {
                try await group.leave(member)
            } else {
                try await group.die(member)
            }
        case 9:
            held = []
            try await group.restart(crashing: Bool.random(using: &group.generator))
        case 10:
            try await group.deleteRecords(
                of: partition,
                before: Int.random(in: model.start...model.end, using: &group.generator))
        case 11, 12:
            guard group.members.isEmpty else { break }
            try await group.commitOutside(
                Int.random(in: 0...model.end + 5, using: &group.generator), of: partition)
        case 13, 14:
            // Late: perhaps somebody else has the partition by now.
            guard let index = held.indices.randomElement(using: &group.generator) else { break }
            let late = held.remove(at: index)
            try await group.commit(late.records, by: late.member)
        default:
            guard let (member, records) = try await group.read(partition) else { break }
            switch Int.random(in: 0..<3, using: &group.generator) {
            case 0: held.append(Held(member: member, records: records))
            case 1: try group.note(handled: records, by: member)
            default:
                try group.note(handled: records, by: member)
                try await group.commit(records, by: member)
            }
        }
    }

    /// One more member; then the group reads and commits all that is left.
    private func readAll(_ group: SteppedGroup) async throws {
        try await group.join(commitsWhatIsTaken: true)
        for partition in group.partitions.indices {
            while group.partitions[partition].position != group.partitions[partition].end {
                guard let (member, records) = try await group.read(partition) else { continue }
                try group.note(handled: records, by: member)
                try await group.commit(records, by: member)
            }
        }
        try await group.expectLags()
    }
}
