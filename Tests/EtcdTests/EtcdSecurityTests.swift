#if Etcd
    import Foundation
    import TallyEtcd
    import TallyReplication
    import TallyTestSupport
    import Testing

    @Suite("etcd behind TLS", .serialized, .needsEtcd, .timeLimit(.minutes(5)))
    struct EtcdSecurityTests {
        /// A certificate for 127.0.0.1 that signs for itself, and its key.
        private func certificate(
            _ name: String, in directory: TemporaryDirectory
        ) throws -> (certificate: String, key: String) {
            let paths = (directory.path("\(name).pem"), directory.path("\(name).key"))
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                "/CN=\(name)", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", paths.1, "-out",
                paths.0,
            ]
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "there is no openssl")
            return paths
        }

        @Test("both sides show certificates; without one, and with a wrong one, nothing is sent")
        func certificates() async throws {
            let directory = try EtcdServer.directory()
            defer { directory.close() }
            let (server, client) = (
                try certificate("server", in: directory), try certificate("client", in: directory)
            )
            let trusted = directory.path("trusted.pem")
            let both = [server.certificate, client.certificate].compactMap {
                FileManager.default.contents(atPath: $0)
            }.reduce(Data(), +)
            try both.write(to: URL(fileURLWithPath: trusted))
            let etcd = try await EtcdServer.start(
                in: directory, scheme: "https",
                extraArguments: [
                    "--cert-file", server.certificate, "--key-file", server.key,
                    "--client-cert-auth", "--trusted-ca-file", trusted,
                ])[0]
            let put = try CoordinationTransaction(operations: [.put(key: "a", value: [1])])
            func store(_ security: EtcdSecurity?) throws -> EtcdCoordinationStore {
                var configuration = EtcdConfiguration(endpoints: [etcd.endpoint])
                configuration.security = security
                return try EtcdCoordinationStore(configuration)
            }
            let good = try store(
                EtcdSecurity(
                    trustRootsPath: server.certificate, certificatePath: client.certificate,
                    privateKeyPath: client.key))
            #expect(try await good.commit(put) != .conflict)
            var iterator = good.watch(prefix: "", after: .absent).makeAsyncIterator()
            #expect(try await iterator.next()?.changes.map(\.key) == ["a"])
            await good.close()
            // It trusts nobody that signed for the server.
            for security in [nil, EtcdSecurity(trustRootsPath: client.certificate)] {
                let store = try store(security)
                let error = await #expect(throws: CoordinationError.self) {
                    try await store.commit(put)
                }
                guard case .unavailable? = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                await store.close()
            }
            // And the server does not trust who shows none.
            let bare = try store(EtcdSecurity(trustRootsPath: server.certificate))
            await #expect(throws: CoordinationError.self) { try await bare.commit(put) }
            await bare.close()
            #expect(throws: CoordinationError.self) {
                try store(EtcdSecurity(certificatePath: directory.path("none")))
            }
        }
    }
#endif
