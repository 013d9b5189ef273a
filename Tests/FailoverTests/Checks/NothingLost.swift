import Foundation
import TallyClient
import TallyRecords
import Testing

/// A topic with a producer, a reader and a group at work, and what must hold of both afterwards.
struct Traffic {
    let cluster: ProcessCluster
    let topic: String
    let partitions: Int32
    let producer: SteadyProducer
    let reader: SteadyReader
    let group: SteadyGroup

    /// Creates a topic of which no record is acknowledged before two members have it, and begins.
    static func start(
        in cluster: ProcessCluster, topic: String = "orders", partitions: Int32 = 3,
        replicas: [[Int32]]? = nil
    ) async throws -> Traffic {
        try await cluster.createTopic(
            topic, partitions: partitions, replicas: replicas,
            settings: ["min.insync.replicas": "2"])
        try await cluster.waitUntilInSync(topic)
        let traffic = Traffic(
            cluster: cluster, topic: topic, partitions: partitions,
            producer: SteadyProducer(cluster.client(), topic: topic),
            reader: SteadyReader(cluster.client(), topic: topic),
            group: SteadyGroup(try cluster.backend(), topic: topic))
        try await traffic.producer.start(partitions: partitions)
        traffic.reader.start(partitions: partitions)
        try traffic.group.start()
        try await traffic.goesOn(batches: 20)
        return traffic
    }

    /// Waits until so many more batches are acknowledged of each partition; fails where they are
    /// not.
    func goesOn(
        batches count: Int = 10, seconds: Int = 30, _ comment: Comment? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let before = producer.counts
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            let now = producer.counts
            let isDone = (0..<partitions).allSatisfy { now[$0] ?? 0 >= (before[$0] ?? 0) + count }
            if isDone { return }
            try #require(
                ContinuousClock.now < deadline && producer.failures.isEmpty,
                """
                \(comment?.rawValue ?? "") from \(before) to \(now) batches within \(seconds) s, \
                \(producer.failures) \(producer.refusals.suffix(5))
                """, sourceLocation: sourceLocation)
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Stops all three, waits until all replicas are in sync, and looks at everything: each record
    /// that was acknowledged is at its offset, nothing else is there, consumers saw nothing else,
    /// the group has read and committed all of it, and all members have the same bytes. Ends the
    /// cluster.
    func expectNothingLost() async throws {
        await producer.stop()
        #expect(producer.failures.isEmpty)
        try await cluster.waitUntilInSync(topic)
        let ends = try await ends()
        #expect(await reader.reaches(ends), "a reader from the beginning on reads to the end")
        await reader.stop()
        #expect(reader.problems.isEmpty)
        #expect(
            await group.commits(ends),
            "a group commits all: \(group.committed) of \(ends), \(group.refusals.suffix(5))")
        #expect(try await group.stored(partitions: partitions) == ends)
        await group.stop()
        #expect(group.problems.isEmpty)

        let again = SteadyReader(cluster.client(), topic: topic)
        again.start(partitions: partitions)
        #expect(await again.reaches(ends), "another reader reads to the end")
        await again.stop()
        #expect(again.problems.isEmpty)
        for partition in 0..<partitions {
            expect(again.numbers[partition] ?? [:], of: partition, endingAt: ends[partition])
            let seen = reader.numbers[partition] ?? [:]
            #expect(
                seen == again.numbers[partition] ?? [:],
                "what was read while all this went on is what is there, of \(partition)")
            #expect(
                group.numbers[partition] ?? [:] == seen, "and what the group read, of \(partition)")
        }
        for member in cluster.members {
            let code = try await member.end()
            #expect(code == 0, "member \(member.id): \(member.errors)")
        }
        try expectSameFiles(ends)
    }

    private func ends() async throws -> [Int32: Offset] {
        let client = cluster.client()
        let all = Set((0..<partitions).map { TopicPartition(topic: topic, partition: $0) })
        let ends = try await client.offsets(of: all, at: .end)
        await client.close()
        return Dictionary(uniqueKeysWithValues: ends.map { ($0.partition, $1) })
    }

    private func expect(_ numbers: [Offset: Int], of partition: Int32, endingAt end: Offset?) {
        let acknowledged = producer.acknowledged[partition] ?? []
        #expect(acknowledged.count > 10)
        var missing: [String] = []
        for batch in acknowledged {
            for (index, number) in batch.numbers.enumerated()
            where numbers[Offset(batch.offset.rawValue + Int64(index))] != number {
                missing.append("\(number) at \(batch.offset.rawValue + Int64(index))")
            }
        }
        #expect(
            missing.isEmpty, "of \(partition) \(missing.count) are missing: \(missing.prefix(5))")
        // One producer, which numbers what it writes: each number once, in order.
        let inOrder = numbers.sorted { $0.key < $1.key }.map(\.value)
        let count = acknowledged.last?.numbers.upperBound ?? 0
        #expect(inOrder == Array(0..<count), "of \(partition), each number once")
        #expect(end == Offset(Int64(count)))
    }

    private func expectSameFiles(_ ends: [Int32: Offset]) throws {
        for partition in 0..<partitions {
            let end = try #require(ends[partition])
            let copies = try cluster.members.map {
                try ReplicaFiles.batches(of: "\(topic)-\(partition)", in: $0.data, before: end)
            }
            #expect(!copies[0].isEmpty)
            for (copy, member) in zip(copies, cluster.members).dropFirst() {
                #expect(
                    copy == copies[0],
                    """
                    \(topic)-\(partition) at member \(member.id) has \(copy.count) bytes before \
                    \(end), and at member 1 \(copies[0].count)
                    """)
            }
        }
    }
}
