import Foundation
import Tally
import TallyCommand
import TallyTestSupport
import Testing

@Suite("tally follow and tally promote", .timeLimit(.minutes(10))) struct FollowCommandTests {
    private func follow(
        _ source: SourceCluster, _ place: CommandWorkplace, topics: String = "a"
    ) throws -> RunningCommand {
        try RunningCommand(
            place, "follow", "--from", source.address, "--topics", topics, "--refresh", "1",
            "--timeout", "2", "--listen", "127.0.0.1:0")
    }

    /// Waits until the copy, which nobody else may open meanwhile, has so many bytes in its log.
    private func arrived(
        _ bytes: Int, in place: CommandWorkplace, _ running: RunningCommand,
        partition: String = "a-0"
    ) async throws -> Bool {
        try await running.waits {
            let path = place.data + "/\(partition)/00000000000000000000.log"
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            return (attributes?[.size] as? Int ?? 0) >= bytes
        }
    }

    @Test("records come as they are written, through restarts of the cluster and of the copy")
    func follows() async throws {
        try await SourceCluster.with { source, place in
            try await source.engine.createTopic("a", partitions: 1)
            var written = 0
            func write(_ count: Int) throws {
                for _ in 0..<count {
                    try source.append(["record \(written)"], to: "a")
                    written += 1
                }
            }
            func byteCount() throws -> Int {
                try TopicContents.of(["a"], in: source.engine)["a"]?.partitions[0].bytes.count ?? 0
            }
            try write(20)
            var running = try follow(source, place)
            #expect(try await running.waits { running.lines.contains("Caught up") })
            #expect(running.lines.contains("Listening on 127.0.0.1:"))
            try write(20)
            #expect(try await arrived(try byteCount(), in: place, running))
            await source.stop()
            #expect(try await running.waits { running.errors.contains("Trying again") })
            try write(20)
            try await source.start()
            #expect(try await arrived(try byteCount(), in: place, running))
            #expect(running.end(by: SIGKILL) == SIGKILL)
            try write(20)
            running = try follow(source, place)
            #expect(try await arrived(try byteCount(), in: place, running))
            #expect(running.end(by: SIGTERM) == 130)
            let copied = try await TopicContents.of(["a"], at: place.data)
            #expect(copied == (try TopicContents.of(["a"], in: source.engine)))
        }
    }

    @Test("topics and partitions are followed from when they are made")
    func later() async throws {
        try await SourceCluster.with { source, place in
            let running = try follow(source, place, topics: "a,b")
            #expect(try await running.waits { running.errors.contains("Topic b is not there yet") })
            try await source.engine.createTopic("b", partitions: 1)
            try source.append(["first"], to: "b")
            #expect(try await running.waits { running.lines.contains("Following topic b") })
            try await source.engine.createPartitions(ofTopic: "b", count: 2)
            try source.append(["second"], to: "b", partition: 1)
            #expect(try await arrived(1, in: place, running, partition: "b-1"))
            running.end(by: SIGINT)
            let copied = try await TopicContents.of(["b"], at: place.data)
            #expect(copied == (try TopicContents.of(["b"], in: source.engine)))
        }
    }

    @Test("what the cluster lets go of goes here too; a copy too far behind begins anew")
    func logStart() async throws {
        try await SourceCluster.with { source, place in
            try await source.engine.createTopic("a", partitions: 1)
            for number in 0..<30 { try source.append(["\(number)"], to: "a") }
            var running = try follow(source, place)
            #expect(try await running.waits { running.lines.contains("Caught up") })
            try await source.engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(10))
            // The next answer tells of it.
            try source.append(["30"], to: "a")
            try await Task.sleep(for: .seconds(1))
            running.end(by: SIGTERM)
            var copied = try await TopicContents.of(["a"], at: place.data)
            #expect(copied == (try TopicContents.of(["a"], in: source.engine)))
            for number in 31..<60 { try source.append(["\(number)"], to: "a") }
            try await source.engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(50))
            running = try follow(source, place)
            #expect(try await running.waits { running.lines.contains("Caught up") })
            #expect(running.errors.contains("begins anew"), "\(running.errors)")
            running.end(by: SIGTERM)
            copied = try await TopicContents.of(["a"], at: place.data)
            #expect(copied == (try TopicContents.of(["a"], in: source.engine)))
            #expect(copied["a"]?.partitions[0].logStart == Offset(50))
        }
    }

    @Test("a topic that is followed takes no records of its own, and a promoted one does")
    func promotes() async throws {
        try await SourceCluster.with { source, place in
            try await source.engine.createTopic("a", partitions: 1)
            try source.append(["one"], to: "a")
            try source.append(
                ["open"], to: "a", producer: BatchProducer(id: 5, epoch: 0, baseSequence: 0),
                isTransactional: true)
            let running = try follow(source, place)
            #expect(try await running.waits { running.lines.contains("Caught up") })
            let inUse = try place.run("promote", "--topics", "a")
            #expect(inUse.exitCode == 1 && inUse.errors.contains("in use"))
            running.end(by: SIGTERM)
            let refused = try place.run("produce", "a", input: "k\tv\n")
            #expect(refused.exitCode == 1 && refused.errors.contains("tally promote"), "\(refused)")
            let mistyped = try place.run("promote", "--topics", "a,b")
            #expect(mistyped.exitCode == ExitCodes.noInput)
            let promoted = try place.run("promote", "--topics", "a")
            #expect(promoted.exitCode == 0, "\(promoted)")
            #expect(promoted.output == "Topic a follows \(source.address) no more.\n")
            #expect(promoted.errors.contains("1 open transaction"))
            let twice = try place.run("promote", "--topics", "a")
            #expect(twice.exitCode == 0 && twice.errors.contains("an ordinary one already"))
            #expect(try place.run("produce", "a", input: "k\tv\n").exitCode == 0)
            try await withEngine(at: place.data) { engine in
                let (mine, theirs) = (
                    try engine.describeTopic("a").partitions[0],
                    try source.engine.describeTopic("a").partitions[0]
                )
                #expect(mine.leaderEpoch > theirs.leaderEpoch && mine.logEnd == Offset(3))
            }
            // From now on they are two topics.
            let parted = try follow(source, place)
            try source.append(["two"], to: "a")
            #expect(try await parted.waits { !parted.process.isRunning })
            #expect(parted.process.terminationStatus == 1, "\(parted.errors)")
            #expect(parted.errors.contains("no copy"), "\(parted.errors)")
            // Nor does it begin anew where the cluster has no more what would come next.
            try source.append(["three", "four", "five"], to: "a")
            try await source.engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(5))
            let behind = try follow(source, place)
            #expect(try await behind.waits { !behind.process.isRunning })
            #expect(behind.errors.contains("no copy"), "\(behind.errors)")
            try await withEngine(at: place.data) { engine in
                let mine = try engine.describeTopic("a")
                #expect(mine.configuration.source == nil)
                #expect(mine.partitions[0].logStart == .zero)
                #expect(mine.partitions[0].logEnd == Offset(3))
            }
        }
    }
}
