#if Etcd
    import Foundation
    import TallyReplication

    /// From the keys of a coordination store to those in etcd, and back.
    struct EtcdKeys: Sendable {
        /// What all keys begin with in etcd.
        let root: String

        /// The key in etcd.
        func data(_ key: String) -> Data { Data((root + key).utf8) }

        /// The first key behind all that begin with a prefix. All characters are below 0x7F.
        func end(ofPrefix prefix: String) -> Data {
            var bytes = Array((root + prefix).utf8)
            bytes[bytes.count - 1] += 1
            return Data(bytes)
        }

        /// Back again. Error: `corrupt`, where it is none of ours.
        func key(_ data: Data) throws(CoordinationError) -> String {
            let bytes = Array(data)
            guard bytes.starts(with: root.utf8) else {
                throw .corrupt(reason: "etcd has answered with a key that was not asked for")
            }
            let key = String(decoding: bytes.dropFirst(root.utf8.count), as: UTF8.self)
            do throws(CoordinationError) {
                try CoordinationLimits.check(key: key)
            } catch {
                throw .corrupt(reason: "a key in etcd below '\(root)' is none of Tally's: \(error)")
            }
            return key
        }

        /// An entry. Error: `corrupt`.
        func entry(_ pair: EtcdKeyValue) throws(CoordinationError) -> CoordinationEntry {
            guard let revision = pair.modRevision?.value, revision > 0 else {
                throw .corrupt(reason: "etcd has answered with a key without revision")
            }
            let lease = pair.lease?.value ?? 0
            return CoordinationEntry(
                key: try key(pair.key), value: [UInt8](pair.value ?? Data()),
                modificationRevision: CoordinationRevision(revision),
                lease: lease == 0 ? nil : LeaseID(lease))
        }

        /// A change. Error: `corrupt`.
        func change(_ event: Etcd.WatchResponse.Event) throws(CoordinationError)
            -> CoordinationChange
        {
            let entry = try entry(event.kv)
            return event.type == "DELETE"
                ? .delete(key: entry.key, revision: entry.modificationRevision) : .put(entry)
        }

        /// A condition, as etcd compares.
        func compare(_ condition: CoordinationCondition) -> Etcd.Compare {
            switch condition {
            case .modified(let key, let revision):
                Etcd.Compare(
                    key: data(key), target: "MOD", result: "EQUAL",
                    modRevision: EtcdNumber(revision.rawValue))
            case .exists(let key):
                Etcd.Compare(
                    key: data(key), target: "CREATE", result: "GREATER",
                    createRevision: EtcdNumber(0))
            }
        }

        /// An operation, as etcd does it.
        func operation(_ operation: CoordinationOperation) -> Etcd.Operation {
            switch operation {
            case .put(let key, let value, let lease):
                Etcd.Operation(
                    put: Etcd.Put(
                        key: data(key), value: Data(value),
                        lease: EtcdNumber(lease?.rawValue ?? 0)))
            case .delete(let key):
                Etcd.Operation(delete: Etcd.Delete(key: data(key)))
            }
        }
    }
#endif
