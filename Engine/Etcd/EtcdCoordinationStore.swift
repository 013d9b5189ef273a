#if Etcd
    import Foundation
    public import TallyReplication

    /// A ``CoordinationStore`` in an etcd of version 3.4 or newer, by its JSON gateway.
    ///
    /// - Reads are linearizable, and writes are on the disks of most members when they return.
    /// - The endpoint that answered last is asked first; one that cannot be reached is passed over.
    ///   What may have been sent is not sent again, unless it changes nothing.
    /// - A call takes ``EtcdConfiguration/callMillisecondsMax`` at most.
    /// - Watches go on behind a stream that broke, at the next endpoint, from the revision behind
    ///   the last one that was given. A stream that is silent is begun anew.
    /// - etcd keeps all history until somebody compacts it (`--auto-compaction-retention`).
    ///
    /// Thread rule: any task; nothing blocks. Close it, or its connections are closed some time
    /// after the last reference went away.
    public final class EtcdCoordinationStore: CoordinationStore {
        private let transport: EtcdTransport
        private let keys: EtcdKeys

        /// How many keys a request reads.
        private static let pageCount: Int64 = 128

        /// A store; no connection is made before it is used.
        ///
        /// Errors: `unavailable`, where an endpoint is no URL or certificates cannot be read;
        /// `invalidKey`, where the prefix of its keys cannot be one.
        public init(_ configuration: EtcdConfiguration) throws(CoordinationError) {
            try CoordinationLimits.check(key: configuration.keyPrefix)
            keys = EtcdKeys(root: configuration.keyPrefix)
            transport = try EtcdTransport(configuration)
        }

        /// Ends all watches and closes all connections; later calls throw `unavailable`.
        public func close() async { await transport.close() }

        /// As the protocol says. etcd grants a time that depends on its `--election-timeout` at
        /// least (2 s with its default).
        public func grantLease(
            seconds: Int64
        ) async throws(CoordinationError) -> CoordinationLease {
            try CoordinationLimits.check(leaseSeconds: seconds)
            let answer = try await call(
                "/v3/lease/grant",
                Etcd.LeaseRequest(id: EtcdNumber(0), seconds: EtcdNumber(seconds)), kind: .once,
                as: Etcd.LeaseResponse.self)
            guard let id = answer.id?.value, id != 0, let granted = answer.seconds?.value,
                granted > 0
            else { throw .corrupt(reason: "etcd has granted a lease without id or time") }
            return CoordinationLease(id: LeaseID(id), seconds: granted)
        }

        /// As the protocol says.
        public func keepAlive(
            _ lease: LeaseID
        ) async throws(CoordinationError) -> CoordinationLease {
            let answer = try await call(
                "/v3/lease/keepalive", Etcd.LeaseRequest(id: EtcdNumber(lease.rawValue)),
                kind: .repeatable, lease: lease, as: EtcdStreamed<Etcd.LeaseResponse>.self)
            if let failure = answer.error {
                throw .outcomeUnknown(reason: failure.text)
            }
            // A lease that is not there has no time.
            guard let seconds = answer.result?.seconds?.value, seconds > 0 else {
                throw .leaseNotFound(lease)
            }
            return CoordinationLease(id: lease, seconds: seconds)
        }

        /// As the protocol says.
        public func revoke(_ lease: LeaseID) async throws(CoordinationError) {
            _ = try await call(
                "/v3/lease/revoke", Etcd.LeaseRequest(id: EtcdNumber(lease.rawValue)), kind: .once,
                lease: lease, as: Etcd.Empty.self)
        }

        /// As the protocol says. Many keys are read in several requests, at one revision.
        public func read(prefix: String) async throws(CoordinationError) -> CoordinationSnapshot {
            try CoordinationLimits.check(prefix: prefix)
            // A compaction may come between two requests.
            for _ in 0..<10 {
                if let snapshot = try await pages(prefix: prefix) { return snapshot }
            }
            throw .unavailable(reason: "etcd was compacted again and again while it was read")
        }

        private func pages(
            prefix: String
        ) async throws(CoordinationError) -> CoordinationSnapshot? {
            var snapshot = CoordinationSnapshot(entries: [], revision: .absent)
            var first = keys.data(prefix)
            while true {
                let request = Etcd.RangeRequest(
                    key: first, rangeEnd: keys.end(ofPrefix: prefix),
                    limit: EtcdNumber(Self.pageCount),
                    revision: EtcdNumber(snapshot.revision.rawValue))
                guard
                    let answer = try await page(request, isFirst: snapshot.revision == .absent)
                else { return nil }
                if snapshot.revision == .absent {
                    snapshot.revision = try Self.revision(answer.header)
                }
                let pairs = answer.kvs ?? []
                for pair in pairs { snapshot.entries.append(try keys.entry(pair)) }
                guard answer.more == true, let last = pairs.last else { return snapshot }
                first = last.key + [0]
            }
        }

        /// One answer; nil where its revision was compacted.
        private func page(
            _ request: Etcd.RangeRequest, isFirst: Bool
        ) async throws(CoordinationError) -> Etcd.RangeResponse? {
            do {
                return try await transport.call(
                    "/v3/kv/range", request, kind: .repeatable, as: Etcd.RangeResponse.self)
            } catch let refusal as EtcdRefusal where refusal.isCompacted && !isFirst {
                return nil
            } catch {
                switch Self.translate(error, lease: nil) {
                // Reading changes nothing.
                case .outcomeUnknown(let reason): throw .unavailable(reason: reason)
                case let error: throw error
                }
            }
        }

        /// As the protocol says.
        public func commit(
            _ transaction: CoordinationTransaction
        ) async throws(CoordinationError) -> CoordinationOutcome {
            let leases = transaction.operations.compactMap { operation in
                if case .put(_, _, let lease?) = operation { lease } else { nil }
            }
            let answer = try await call(
                "/v3/kv/txn",
                Etcd.TransactionRequest(
                    compare: transaction.conditions.map(keys.compare),
                    success: transaction.operations.map(keys.operation)),
                kind: .once, lease: leases.first, as: Etcd.TransactionResponse.self)
            guard answer.succeeded == true else { return .conflict }
            return .success(try Self.revision(answer.header))
        }

        /// As the protocol says.
        public func watch(
            prefix: String, after revision: CoordinationRevision
        ) -> CoordinationWatch {
            CoordinationWatch { [transport, keys] in
                EtcdWatch(transport: transport, keys: keys, prefix: prefix, after: revision)
            }
        }

        private static func revision(
            _ header: EtcdHeader
        ) throws(CoordinationError) -> CoordinationRevision {
            guard let revision = header.revision?.value, revision > 0 else {
                throw .corrupt(reason: "etcd has answered without its revision")
            }
            return CoordinationRevision(revision)
        }

        /// A call whose errors are those of a coordination store. `lease` is what is not found
        /// where something is not found.
        private func call<Request: Encodable, Response: Decodable>(
            _ path: String, _ request: Request, kind: EtcdTransport.Kind, lease: LeaseID? = nil,
            as type: Response.Type
        ) async throws(CoordinationError) -> Response {
            do {
                return try await transport.call(path, request, kind: kind, as: type)
            } catch {
                throw Self.translate(error, lease: lease)
            }
        }

        private static func translate(_ error: any Error, lease: LeaseID?) -> CoordinationError {
            switch error {
            case let error as CoordinationError: error
            case let refusal as EtcdRefusal where refusal.isNotFound && lease != nil:
                .leaseNotFound(lease ?? LeaseID(0))
            case let refusal as EtcdRefusal:
                .unavailable(reason: "etcd refuses: \(refusal.failure.text)")
            default: .unavailable(reason: "\(error)")
            }
        }
    }
#endif
