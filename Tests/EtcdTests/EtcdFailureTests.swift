#if Etcd
    import Foundation
    import Synchronization
    import TallyEtcd
    import TallyReplication
    import TallyTestSupport
    import Testing

    /// What becomes of calls and watches when members of etcd die, stop, and come back.
    @Suite("etcd in trouble", .serialized, .needsEtcd, .timeLimit(.minutes(10)))
    struct EtcdFailureTests {
        private func store(
            _ servers: [EtcdServer], milliseconds: Int64 = 5000
        ) throws -> EtcdCoordinationStore {
            var configuration = EtcdConfiguration(
                endpoints: servers.map(\.endpoint), keyPrefix: "tally/test/")
            configuration.callMillisecondsMax = milliseconds
            configuration.watchSilenceMillisecondsMax = 1000
            return try EtcdCoordinationStore(configuration)
        }

        private func put(
            _ key: String, _ value: String = "", if condition: CoordinationCondition? = nil
        ) throws -> CoordinationTransaction {
            try CoordinationTransaction(
                conditions: condition.map { [$0] } ?? [],
                operations: [.put(key: key, value: Array(value.utf8))])
        }

        /// Adds one to a counter until it stands at `end`, whatever happens; at every doubt it
        /// reads again. Gives the errors it came upon.
        private func count(
            to end: Int, in store: EtcdCoordinationStore
        ) async throws -> [CoordinationError] {
            var errors: [CoordinationError] = []
            while true {
                do throws(CoordinationError) {
                    let entry = try await store.read(prefix: "counter").entry(of: "counter")
                    let number =
                        entry.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) } ?? 0
                    if number >= end { return errors }
                    let transaction = try CoordinationTransaction(
                        conditions: [
                            .modified(
                                key: "counter", revision: entry?.modificationRevision ?? .absent)
                        ], operations: [.put(key: "counter", value: Array("\(number + 1)".utf8))])
                    _ = try await store.commit(transaction)
                } catch {
                    errors.append(error)
                    try await Task.sleep(for: .milliseconds(20))
                }
            }
        }

        /// Watches a counter until it stands at `end`: each number comes once, in order.
        private func watchCounter(
            to end: Int, in store: EtcdCoordinationStore
        ) async throws -> [Int] {
            var numbers: [Int] = []
            for try await batch in store.watch(prefix: "counter", after: .absent) {
                for case .put(let entry) in batch.changes {
                    numbers.append(Int(String(decoding: entry.value, as: UTF8.self)) ?? -1)
                }
                if numbers.last == end { break }
            }
            return numbers
        }

        private func expectTyped(_ errors: [CoordinationError]) {
            for error in errors {
                switch error {
                case .unavailable, .outcomeUnknown: break
                default: Issue.record("\(error)")
                }
            }
        }

        @Test("killed and started again in the middle: nothing is lost, for writers and watchers")
        func restarted() async throws {
            let directory = try EtcdServer.directory()
            defer { directory.close() }
            let server = try await EtcdServer.start(in: directory)[0]
            let (writer, watcher) = (try store([server]), try store([server]))
            async let errors = count(to: 600, in: writer)
            async let numbers = watchCounter(to: 600, in: watcher)
            for _ in 0..<3 {
                try await Task.sleep(for: .milliseconds(150))
                server.kill()
                try await Task.sleep(for: .milliseconds(200))
                try server.launch()
                #expect(await server.waitUntilReady())
            }
            let found = try await errors
            expectTyped(found)
            #expect(!found.isEmpty)
            #expect(try await numbers == Array(1...600))
            await writer.close()
            await watcher.close()
        }

        @Test("stopped: every call ends with a typed error, and all goes on when it does")
        func stopped() async throws {
            let directory = try EtcdServer.directory()
            defer { directory.close() }
            let server = try await EtcdServer.start(in: directory)[0]
            let store = try store([server], milliseconds: 500)
            let lease = try await store.grantLease(seconds: 60)
            let begun = try await store.read(prefix: "").revision
            _ = try await store.commit(put("a"))
            let watch = store.watch(prefix: "b", after: begun)
            let change = Task {
                var iterator = watch.makeAsyncIterator()
                return try await iterator.next()
            }
            try await Task.sleep(for: .milliseconds(100))
            server.signal(SIGSTOP)
            let clock = ContinuousClock.now
            await #expect(throws: CoordinationError.self) { try await store.read(prefix: "") }
            let transaction = try put("b", if: .absent(key: "b"))
            let commit = await #expect(throws: CoordinationError.self) {
                try await store.commit(transaction)
            }
            guard case .outcomeUnknown? = commit else {
                Issue.record("\(String(describing: commit))")
                return
            }
            await #expect(throws: CoordinationError.self) { try await store.keepAlive(lease.id) }
            await #expect(throws: CoordinationError.self) { try await store.grantLease(seconds: 5) }
            await #expect(throws: CoordinationError.self) { try await store.revoke(lease.id) }
            #expect(ContinuousClock.now - clock < .seconds(20))
            server.signal(SIGCONT)
            // It may be done late, and is done once.
            var outcome: CoordinationOutcome?
            while outcome == nil { outcome = try? await store.commit(transaction) }
            #expect(try await store.read(prefix: "b").entries.count == 1)
            #expect(try await change.value?.changes.map(\.key) == ["b"])
            await store.close()
        }

        @Test("nobody listens: it is told at once, and that nothing was changed")
        func refused() async throws {
            let port = try FreePorts.some(1)[0]
            let store = try EtcdCoordinationStore(
                EtcdConfiguration(endpoints: ["http://127.0.0.1:\(port)"]))
            let begun = ContinuousClock.now
            let transaction = try put("a")
            let error = await #expect(throws: CoordinationError.self) {
                try await store.commit(transaction)
            }
            guard case .unavailable? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(ContinuousClock.now - begun < .seconds(4))
            let watch = Task { for try await _ in store.watch(prefix: "", after: .absent) {} }
            try await Task.sleep(for: .milliseconds(50))
            await store.close()
            await #expect(throws: CoordinationError.unavailable(reason: "it was closed")) {
                try await watch.value
            }
            await #expect(throws: CoordinationError.self) { try await store.read(prefix: "") }
        }

        @Test("of three members one dies after the other: the rest go on, and so do watches")
        func failOver() async throws {
            let directory = try EtcdServer.directory()
            defer { directory.close() }
            let servers = try await EtcdServer.start(3, in: directory)
            let (writer, watcher) = (try store(servers), try store(servers))
            let lease = try await writer.grantLease(seconds: 30)
            _ = try await writer.commit(
                CoordinationTransaction(operations: [
                    .put(key: "held", value: [], lease: lease.id)
                ]))
            async let errors = count(to: 500, in: writer)
            async let numbers = watchCounter(to: 500, in: watcher)
            for server in servers {
                try await Task.sleep(for: .milliseconds(200))
                server.kill()
                try await Task.sleep(for: .milliseconds(600))
                try server.launch()
                #expect(await server.waitUntilReady())
            }
            expectTyped(try await errors)
            #expect(try await numbers == Array(1...500))
            // Far from its end, whoever led meanwhile.
            #expect(try await writer.read(prefix: "held").entries.count == 1)
            #expect(try await writer.keepAlive(lease.id).seconds == 30)
            await writer.close()
            await watcher.close()
        }

        @Test("a member that is stopped is left: calls and watches go to another")
        func stoppedMember() async throws {
            let directory = try EtcdServer.directory()
            defer { directory.close() }
            let servers = try await EtcdServer.start(3, in: directory)
            let store = try store(servers, milliseconds: 3000)
            let other = try self.store([servers[1], servers[2]])
            let begun = try await store.read(prefix: "").revision
            let watch = store.watch(prefix: "w", after: begun)
            let change = Task {
                var iterator = watch.makeAsyncIterator()
                return try await iterator.next()
            }
            try await Task.sleep(for: .milliseconds(200))
            servers[0].signal(SIGSTOP)
            var isDone = false
            while !isDone {
                isDone = (try? await other.commit(put("w"))) != nil
            }
            #expect(try await store.read(prefix: "w").entries.count == 1)
            #expect(try await change.value?.changes.map(\.key) == ["w"])
            servers[0].signal(SIGCONT)
            await store.close()
            await other.close()
        }

        @Test("without a majority nothing is done, and it is told; a watch waits")
        func minority() async throws {
            let directory = try EtcdServer.directory()
            defer { directory.close() }
            let servers = try await EtcdServer.start(3, in: directory)
            let store = try store([servers[0]], milliseconds: 1500)
            let begun = try await store.read(prefix: "").revision
            servers[1].kill()
            servers[2].kill()
            let transaction = try put("a", if: .absent(key: "a"))
            let error = await #expect(throws: CoordinationError.self) {
                try await store.commit(transaction)
            }
            guard case .outcomeUnknown? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            // Never what may be old.
            await #expect(throws: CoordinationError.self) { try await store.read(prefix: "") }
            let change = Task {
                var iterator = store.watch(prefix: "a", after: begun).makeAsyncIterator()
                return try await iterator.next()
            }
            for server in servers[1...] {
                try server.launch()
            }
            var outcome: CoordinationOutcome?
            while outcome == nil { outcome = try? await store.commit(transaction) }
            #expect(try await change.value?.changes.map(\.key) == ["a"])
            await store.close()
        }
    }
#endif
