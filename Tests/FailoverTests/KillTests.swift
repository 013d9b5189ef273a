import Foundation
import TallyTestSupport
import Testing

extension FailoverTests {
    @Suite("when members are killed") struct KillTests {
        @Test(
            "a leader that is killed loses nothing, and comes back in sync",
            arguments: ProcessCluster.Store.available)
        func leader(store: ProcessCluster.Store) async throws {
            var options = ProcessCluster.Options()
            options.store = store
            try await ProcessCluster.with(options) { cluster in
                let traffic = try await Traffic.start(in: cluster)
                let victim = try await cluster.leader(of: traffic.topic, 0)
                victim.kill()
                try await cluster.waitUntilLed(traffic.topic, byOthersThan: victim.id)
                try await traffic.goesOn()
                try victim.launch()
                try await victim.waitUntilReady()
                try await cluster.waitUntilInSync(traffic.topic)
                try await traffic.goesOn()
                try await traffic.expectNothingLost()
            }
        }

        @Test("all are killed at once, and come back with all that was acknowledged")
        func all() async throws {
            try await ProcessCluster.with { cluster in
                let traffic = try await Traffic.start(in: cluster)
                for member in cluster.members { member.kill() }
                for member in cluster.members { try member.launch() }
                for member in cluster.members { try await member.waitUntilReady() }
                try await traffic.goesOn()
                try await traffic.expectNothingLost()
            }
        }

        @Test("one after the other is killed, before the last is back in sync")
        func rapid() async throws {
            var random = SeededGenerator.fromEnvironment()
            try await ProcessCluster.with { cluster in
                let traffic = try await Traffic.start(in: cluster)
                for _ in 0..<5 {
                    let states = try await cluster.states(of: traffic.topic)
                    let leaders = states.compactMap(\.leader)
                    let victim = cluster.member(
                        leaders.randomElement(using: &random)?.rawValue ?? 1)
                    victim.kill()
                    try await Task.sleep(for: .milliseconds(.random(in: 0...1500, using: &random)))
                    try victim.launch()
                    try await Task.sleep(
                        for: .milliseconds(.random(in: 1000...4000, using: &random)))
                }
                for member in cluster.members { try await member.waitUntilReady() }
                try await traffic.goesOn("seed \(random.seed)")
                try await traffic.expectNothingLost()
            }
        }

        @Test("a new leader tells of no end before the one that readers have seen")
        func highWatermark() async throws {
            try await ProcessCluster.with { cluster in
                // Who controls is to stay, and to lead next.
                let image = try await cluster.administration.image()
                let next = try #require(image.controller?.record.member.rawValue)
                let others = cluster.members.map(\.id).filter { $0 != next }
                let traffic = try await Traffic.start(
                    in: cluster, partitions: 6,
                    replicas: Array(repeating: [others[0], next, others[1]], count: 6))
                let (killed, paused) = (cluster.member(others[0]), cluster.member(others[1]))
                killed.kill()
                // Its lease is longer than that of who was killed, so that for a while the new
                // leader waits for it, and does not know what was committed last.
                try await Task.sleep(for: .seconds(1))
                try paused.pause()
                try await cluster.waitUntilLed(traffic.topic, byOthersThan: killed.id)
                try await Task.sleep(for: .milliseconds(500))
                paused.signal(SIGCONT)
                try killed.launch()
                try await killed.waitUntilReady()
                try await traffic.goesOn()
                try await traffic.expectNothingLost()
            }
        }
    }
}
