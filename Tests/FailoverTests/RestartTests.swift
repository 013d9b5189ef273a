import Foundation
import Testing

extension FailoverTests {
    @Suite("when members are restarted") struct RestartTests {
        @Test(
            "one after the other: others lead at once, without waiting for the lease to end",
            arguments: ProcessCluster.Store.available)
        func rolling(store: ProcessCluster.Store) async throws {
            var options = ProcessCluster.Options()
            options.store = store
            options.leaseSeconds = 8
            try await ProcessCluster.with(options) { cluster in
                let traffic = try await Traffic.start(in: cluster)
                for member in cluster.members {
                    let begin = ContinuousClock.now
                    #expect(try await member.end() == 0, "\(member.errors)")
                    #expect(!member.errors.contains("not handed over"))
                    try await cluster.waitUntilLed(traffic.topic, byOthersThan: member.id)
                    try await traffic.goesOn()
                    let silence = traffic.producer.longestSilence(since: begin)
                    #expect(
                        silence < .seconds(4),
                        "the lease is 8 s; \(cluster.members.map(\.errors))")
                    try member.launch()
                    try await member.waitUntilReady()
                    try await cluster.waitUntilInSync(traffic.topic)
                }
                try await traffic.goesOn()
                try await traffic.expectNothingLost()
            }
        }
    }
}
