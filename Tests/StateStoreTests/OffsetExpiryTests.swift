import Tally
import TallyGroups
import Testing

@testable import TallyStateStore

/// Offsets that are forgotten for their age, by an engine with its state in `state.db`.
@Suite("Expiry of offsets", .timeLimit(.minutes(10)))
struct OffsetExpiryTests {
    private static let partition = TopicPartition(topic: "a", partition: 0)
    private static let offset = [partition: OffsetToCommit(offset: Offset(1))]

    /// An engine that forgets soon, and looks often.
    private func engine(_ directory: ScratchDirectory) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        configuration.groups.offsetsRetentionMilliseconds = 500
        configuration.groups.offsetsRetentionCheckMilliseconds = 10
        return try await Engine.open(at: directory.path, configuration: configuration)
    }

    /// Waits until these are the groups that there are.
    private func eventually(_ groups: [String], in engine: Engine) async throws -> Bool {
        for _ in 0..<1000 {
            if try await engine.groupListings().map(\.group) == groups { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// What is in the database of a directory, by group.
    private func stored(_ directory: ScratchDirectory) throws -> [String: Int] {
        let state = try SQLiteState.read(inDataDirectory: directory.path)
        let groups = try state.offsets.loadGroups()
        try state.close()
        return Dictionary(uniqueKeysWithValues: groups.map { ($0.group, $0.offsets.count) })
    }

    @Test("an empty group's offsets go when they are old, a live group's once it is empty, too")
    func expiry() async throws {
        let directory = try ScratchDirectory()
        let engine = try await engine(directory)
        try await engine.createTopic("a", partitions: 1)
        _ = try await engine.producer().send(key: nil, value: "x", to: "a")
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let consumer = try engine.consumer(group: "live", topics: ["a"], configuration)
        var iterator = consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        try await consumer.commit(records)
        let committed = try await consumer.committed()
        #expect(committed[Self.partition]?.offset == Offset(1))

        // Committed later than the live group's, and gone while that is still there.
        try await engine.commitOffsets(Self.offset, ofGroup: "idle")
        #expect(try await eventually(["live"], in: engine))
        #expect(try await engine.committedOffsets(ofGroup: "idle").isEmpty)
        #expect(try await engine.committedOffsets(ofGroup: "live") == committed)
        #expect(try stored(directory) == ["live": 1])

        // The live one counts from when its last member left.
        try await consumer.close()
        #expect(try await eventually([], in: engine))
        try await engine.close()
        #expect(try stored(directory).isEmpty)
        try StateDatabase(directory: directory.path).expectSound()
    }

    @Test("what became old while the directory was closed goes when it is opened again")
    func reopening() async throws {
        let directory = try ScratchDirectory()
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        let patient = try await Engine.open(at: directory.path, configuration: configuration)
        try await patient.createTopic("a", partitions: 1)
        try await patient.commitOffsets(Self.offset, ofGroup: "idle")
        try await patient.close()
        #expect(try stored(directory) == ["idle": 1])
        let engine = try await engine(directory)
        #expect(try await eventually([], in: engine))
        try await engine.close()
        #expect(try stored(directory).isEmpty)
    }
}
