#if Etcd
    import Foundation
    import TallyReplication
    import TallyTestSupport
    import Testing

    extension FailoverTests {
        @Suite("when the network is cut", .needsNetwork, .needsEtcd) struct NetworkTests {
            private func run(
                _ body: (ProcessCluster, TestNetwork, Traffic) async throws -> Void
            ) async throws {
                let network = try TestNetwork(count: 3)
                defer { network.close() }
                var options = ProcessCluster.Options()
                options.store = .etcd
                options.network = network
                try await ProcessCluster.with(options) { cluster in
                    let traffic = try await Traffic.start(in: cluster)
                    try await body(cluster, network, traffic)
                    try await cluster.waitUntilInSync(traffic.topic)
                    try await traffic.goesOn("all is mended")
                    try await traffic.expectNothingLost()
                }
            }

            @Test("a leader whose link is down is no leader after its lease")
            func link() async throws {
                try await run { cluster, network, traffic in
                    let member = try await cluster.leader(of: traffic.topic, 0)
                    try network.setLink(of: member.id, isUp: false)
                    try await cluster.waitUntilLed(traffic.topic, byOthersThan: member.id)
                    try await traffic.goesOn("its link is down")
                    try network.setLink(of: member.id, isUp: true)
                }
            }

            @Test(
                "a leader that hears everything and whom nobody hears is no leader after its lease")
            func mute() async throws {
                try await run { cluster, network, traffic in
                    let member = try await cluster.leader(of: traffic.topic, 0)
                    try network.cut(from: member.id, to: network.host)
                    for other in cluster.members where other.id != member.id {
                        try network.cut(from: member.id, to: other.id)
                    }
                    try await cluster.waitUntilLed(traffic.topic, byOthersThan: member.id)
                    try await traffic.goesOn("nobody hears it")
                    try network.mend(from: member.id)
                }
            }

            @Test("a follower that its leaders do not reach is waited for no more")
            func follower() async throws {
                try await run { cluster, network, traffic in
                    let member = cluster.members[2]
                    for other in cluster.members where other.id != member.id {
                        try network.cut(from: other.id, to: member.id)
                    }
                    // What it leads itself it cannot give to them either.
                    try await cluster.wait(traffic.topic, "it is in no set with others") {
                        let isAmong = $0.inSyncReplicas.contains(ReplicaID(member.id))
                        return !isAmong || $0.inSyncReplicas.count == 1
                    }
                    for other in cluster.members { try network.mend(from: other.id) }
                }
            }
        }
    }
#endif
