import Foundation
import TallyReplication
import TallyTestSupport
import TallyWire
import Testing

extension FailoverTests {
    /// The design's scenario "Broker failure", step by step.
    @Suite("Scenario: a broker fails") struct BrokerFailureScenario {
        private let topic = "orders"

        /// The rows of `tally cluster status` that have a problem, without internal topics.
        private func problems(_ cluster: ProcessCluster) throws -> [Substring] {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: ClusterMember.program)
            process.arguments = [
                "cluster", "status", "--json", "--problems", "--cluster",
                "sqlite:\(cluster.directory.path("cluster.db"))",
            ]
            process.standardOutput = output
            try process.run()
            let told = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return String(decoding: told, as: UTF8.self).split(separator: "\n")
                .filter { !$0.contains("\"__") }
        }

        @Test(
            "leaders move, a producer goes on while enough replicas are there, and nothing is lost")
        func scenario() async throws {
            try await ProcessCluster.with { cluster in
                // Somebody publishes continuously to six partitions; each broker leads two.
                let traffic = try await Traffic.start(in: cluster, topic: topic, partitions: 6)
                let before = try await cluster.states(of: topic)
                for member in cluster.members {
                    #expect(before.count { $0.leader == ReplicaID(member.id) } == 2)
                }
                #expect(try problems(cluster).isEmpty)

                // The broker that leads the first fails.
                let failed = try await cluster.leader(of: topic, 0)
                failed.kill()

                // Its partitions have new leaders, in new epochs; nothing else has moved.
                try await cluster.waitUntilLed(topic, byOthersThan: failed.id)
                let after = try await cluster.states(of: topic)
                for (old, new) in zip(before, after) {
                    if old.leader == ReplicaID(failed.id) {
                        #expect(new.leaderEpoch > old.leaderEpoch)
                    } else {
                        #expect(new.leader == old.leader && new.leaderEpoch == old.leaderEpoch)
                    }
                }

                // All are under-replicated now, and the producer does not see it: each record is at
                // two.
                try await traffic.goesOn("one of three is gone")
                let rows = try problems(cluster)
                #expect(rows.count == 6)
                #expect(rows.allSatisfy { $0.contains("under-replicated") })

                // A second fails. Nothing is acknowledged that only one broker has: the producer is
                // told.
                let second = try #require(cluster.members.first { $0.id != failed.id })
                second.kill()
                try await cluster.wait(topic, "the last one is alone") {
                    $0.leader != nil && $0.inSyncReplicas.count == 1
                }
                try await Task.sleep(for: .milliseconds(500))
                let alone = traffic.producer.counts
                let since = ContinuousClock.now
                try await Task.sleep(for: .seconds(1))
                #expect(traffic.producer.counts == alone)
                let told = traffic.producer.refusals.filter { $0.at > since }.compactMap(\.code)
                #expect(told.contains(.notEnoughReplicas))

                // Both come back, and the producer goes on where it was.
                try failed.launch()
                try second.launch()
                try await failed.waitUntilReady()
                try await second.waitUntilReady()
                try await traffic.goesOn("both are back")
                try await cluster.waitUntilInSync(topic)
                #expect(try problems(cluster).isEmpty)

                // Every record that was acknowledged is there, at its offset, at each broker.
                try await traffic.expectNothingLost()
            }
        }
    }
}
