import Foundation
import Tally
import TallyClient
import TallyCommand
import TallyTestSupport
import Testing

/// Exports that end, or are held up, in the middle.
@Suite("tally export kafka, interrupted", .timeLimit(.minutes(10)))
struct ExportInterruptedTests {
    private static let recordCount = 120

    /// Four partitions with 12 MB in records that are numbered.
    private func fill(_ place: CommandWorkplace) async throws {
        try await withEngine(at: place.data) { engine in
            try await engine.createTopic("orders", partitions: 4)
            let producer = try engine.producer()
            let large = String(repeating: "x", count: 100_000)
            for number in 0..<Self.recordCount {
                let value = Array("\(number) \(large)".utf8)
                try producer.enqueue(
                    topic: "orders", partition: Int32(number % 4), key: nil,
                    value: value.span.bytes)
                if number % 8 == 7 { try await producer.flush() }
            }
            try await producer.flush()
        }
    }

    /// Each record once, and in its order.
    private func expectWhole(_ target: SourceCluster) async throws {
        var numbers: [Int32: [Int]] = [:]
        let consumer = try target.engine.consumer(
            of: "orders", ConsumerConfiguration(end: .currentEnd))
        for try await fetched in consumer {
            try fetched.forEachRecord { record in
                let text = (record.valueText ?? "").prefix { $0 != " " }
                numbers[fetched.partition, default: []].append(Int(text) ?? -1)
            }
        }
        for partition in 0..<Int32(4) {
            let wanted = Array(stride(from: Int(partition), to: Self.recordCount, by: 4))
            #expect(numbers[partition] == wanted, "\(partition)")
        }
    }

    @Test("ended by Ctrl-C or by kill -9 at any moment, it goes on, and sends nothing twice")
    func ended() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            let arguments = ["export", "kafka", "--to", target.address, "--topics", "orders"]
            var endedCount = 0
            for attempt in 0..<8 {
                let running = try RunningCommand(place, arguments)
                // Something has been sent, or nothing yet.
                _ = try await running.waits {
                    attempt % 4 == 0
                        || (try? target.engine.describeTopic("orders").partitions.reduce(0) {
                            $0 + $1.byteCount
                        }) ?? 0 > attempt * 1_000_000
                }
                let code = running.end(by: attempt % 2 == 0 ? SIGINT : SIGKILL)
                if running.process.terminationReason == .exit, code == 130 {
                    #expect(running.errors.contains("goes on from there"), "\(running.errors)")
                }
                if code != 0 { endedCount += 1 }
            }
            #expect(endedCount > 0)
            let run = try place.run(arguments + ["--verify"], input: [])
            #expect(run.exitCode == 0, "\(run)")
            try await expectWhole(target)
            let settings = try target.engine.describeTopic("orders").configuration.values
            #expect(settings.isEmpty, "\(settings)")
        }
    }

    @Test("a cluster that goes away in the middle and comes back is gone on with")
    func clusterRestarts() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            let arguments = ["export", "kafka", "--to", target.address, "--topics", "orders"]
            let running = try RunningCommand(place, arguments)
            for _ in 0..<3 {
                try await Task.sleep(for: .milliseconds(150))
                await target.stop()
                try await Task.sleep(for: .milliseconds(150))
                try await target.start()
            }
            #expect(try await running.waits { !running.process.isRunning })
            // It may have come before the first connection.
            if running.process.terminationStatus != 0 {
                #expect(running.errors.contains("no connection"), "\(running.errors)")
                #expect(try place.run(arguments, input: []).exitCode == 0)
            }
            try await expectWhole(target)
        }
    }

    @Test("a cluster that stays away ends it after the time that was given, and what came is noted")
    func clusterStaysAway() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            let arguments = ["export", "kafka", "--to", target.address, "--topics", "orders"]
            let running = try RunningCommand(place, arguments + ["--timeout", "1"])
            #expect(
                try await running.waits {
                    ((try? target.engine.describeTopic("orders").partitions.reduce(0) {
                        $0 + $1.byteCount
                    }) ?? 0) > 500_000
                })
            await target.stop()
            running.process.waitUntilExit()
            if running.process.terminationStatus != 0 {
                #expect(running.process.terminationStatus == ExitCodes.failure)
                #expect(running.errors.contains("Tried for 1000 ms"), "\(running.errors)")
            }
            try await target.start()
            #expect(try place.run(arguments + ["--verify"], input: []).exitCode == 0)
            try await expectWhole(target)
        }
    }

    @Test(
        "a cluster of several brokers that tells no ids and no settings, whose leaders move",
        .enabled(if: MockCluster.isAvailable))
    func mockCluster() async throws {
        let mock = try MockCluster(brokers: 3, topics: ["orders": 4])
        for partition in 0..<4 {
            try mock.tell("leader orders \(partition) \(partition % 3 + 1)")
        }
        let place = try CommandWorkplace()
        try await fill(place)
        let arguments = [
            "export", "kafka", "--to", mock.addresses.joined(separator: ","), "--topics", "orders",
        ]
        let running = try RunningCommand(place, arguments)
        for round in 0..<4 {
            try await Task.sleep(for: .milliseconds(60))
            try mock.tell("leader orders \(round) \((round + 1) % 3 + 1)")
            // NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT
            try mock.tell("error 0 \(round % 2 == 0 ? 6 : 7) 1")
        }
        running.process.waitUntilExit()
        #expect(running.process.terminationStatus == 0, "\(running.errors)")
        #expect(running.lines.contains("120 records"), "\(running.lines)")
        let again = try place.run(arguments + ["--verify"], input: [])
        #expect(again.exitCode == 0, "\(again)")
        #expect(again.output.contains("Exported 0 records"), "\(again)")
        #expect(again.output.contains("Read again, 120 records are the same"), "\(again)")
    }
}
