#if Etcd
    import Foundation
    import TallyTestSupport
    import Testing

    extension FailoverTests {
        @Suite("when the coordination store is away", .needsEtcd) struct StoreTests {
            @Test(
                "leaders acknowledge nothing once their leases are over, and go on when it is back")
            func outage() async throws {
                var options = ProcessCluster.Options()
                options.store = .etcd
                try await ProcessCluster.with(options) { cluster in
                    let traffic = try await Traffic.start(in: cluster)
                    cluster.etcd?.signal(SIGSTOP)
                    try await Task.sleep(for: .seconds(cluster.leaseSeconds))
                    // What was under way may still be answered.
                    try await Task.sleep(for: .milliseconds(500))
                    let before = traffic.producer.counts
                    try await Task.sleep(for: .milliseconds(1500))
                    #expect(traffic.producer.counts == before)
                    cluster.etcd?.signal(SIGCONT)
                    try await traffic.goesOn("it is back")
                    try await cluster.waitUntilInSync(traffic.topic)
                    try await traffic.goesOn()
                    try await traffic.expectNothingLost()
                }
            }
        }
    }
#endif
