#if Etcd
    import Foundation
    import FoundationNetworking
    import TallyCoordinationConformance
    import TallyEtcd
    import TallyReplication
    import TallyTestSupport
    import Testing

    @Suite(
        "The coordination store in etcd keeps what is promised", .serialized, .needsEtcd,
        .timeLimit(.minutes(10)))
    struct EtcdConformanceTests {
        private struct Fixture: CoordinationFixture {
            let endpoint: String
            let leaseSecondsMin: Int64 = 1

            func client() throws -> any CoordinationStore {
                try EtcdCoordinationStore(EtcdConfiguration(endpoints: [endpoint], keyPrefix: "t/"))
            }

            func compact(through revision: CoordinationRevision) async throws {
                try await EtcdServer.post(
                    endpoint + "/v3/kv/compaction", #"{"revision":"\#(revision)","physical":true}"#)
            }
        }

        @Test("it keeps what is promised", arguments: ConformanceCheck.all)
        func conforms(check: ConformanceCheck) async throws {
            let directory = try EtcdServer.directory()
            defer { directory.close() }
            let servers = try await EtcdServer.start(in: directory)
            try await check.run(Fixture(endpoint: servers[0].endpoint))
            servers[0].kill()
        }
    }

    extension EtcdServer {
        /// A request that Tally never sends.
        static func post(_ url: String, _ body: String) async throws {
            var request = URLRequest(url: try #require(URL(string: url)))
            request.httpMethod = "POST"
            request.httpBody = Data(body.utf8)
            let (_, response) = try await URLSession.shared.data(for: request)
            #expect((response as? HTTPURLResponse)?.statusCode == 200)
        }
    }
#endif
