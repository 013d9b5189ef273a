import Glibc
import Tally

/// An engine that has too few descriptors, and one that for a while has none.
extension CrashChild {
    /// Under a limit of 64 descriptors: writes to many partitions, several at a time, and reads
    /// all of them; then takes every descriptor that is left, writes, and gives them back. Says
    /// `stored PARTITION OFFSET VALUE` for each acknowledgement, `refused` for each typed error
    /// while there were none, and `most COUNT`, the descriptors that were open at once.
    static func runOut(in directory: String, partitions: Int32) async throws {
        try limitDescriptors(to: 64)
        // The default bound of 512 is more than there are: the pool must find that out.
        let engine = try await Engine.open(at: directory)
        try await engine.createTopic("t", partitions: Int(partitions))
        for round in 0..<2 {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in Int32(0)..<8 {
                    group.addTask {
                        for partition in stride(from: lane, to: partitions, by: 8) {
                            try await store("\(round)", in: partition, of: engine)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        say("most \(openCount())")
        try await expectAll(in: engine, rounds: 2, partitions: partitions)

        var taken: [Int32] = []
        while case let descriptor = open("/dev/null", O_RDONLY), descriptor >= 0 {
            taken.append(descriptor)
        }
        say(await isTopicRefused(by: engine) ? "no topic" : "a topic")
        for partition in 0..<partitions {
            do {
                try await store("2", in: partition, of: engine)
            } catch LogError.file(let error) where error.isTooManyOpenFiles {
                say("refused")
            }
        }
        for descriptor in taken { close(descriptor) }
        try await engine.createTopic("u", partitions: 1)
        for partition in 0..<partitions { try await store("3", in: partition, of: engine) }
        try await engine.close()
        say("closed")
    }

    private static func store(
        _ value: String, in partition: Int32, of engine: Engine
    ) async throws {
        let record = ProducerRecord(
            topic: "t", partition: partition, key: nil as String?, value: value)
        let sent = try await engine.producer().send(record)
        say("stored \(partition) \(sent.offset) \(value)")
    }

    private static func isTopicRefused(by engine: Engine) async -> Bool {
        do {
            try await engine.createTopic("u", partitions: 1)
            return false
        } catch {
            guard case .file(let cause)? = error as? LogError else { return false }
            return cause.isTooManyOpenFiles
        }
    }

    private static func expectAll(
        in engine: Engine, rounds: Int, partitions: Int32
    ) async throws {
        var count = 0
        for try await records in try engine.consumer(
            of: "t", ConsumerConfiguration(start: .earliest, end: .currentEnd))
        {
            try records.forEachRecord { record in
                guard record.valueText == "\(record.offset)" else { exit(3) }
                count += 1
            }
        }
        guard count == rounds * Int(partitions) else { exit(4) }
    }

    private static func openCount() -> Int {
        (0..<Int32(64)).count { fcntl($0, F_GETFD) >= 0 }
    }
}
