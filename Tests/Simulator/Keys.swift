import TallyRecords
import TallyReplication

/// The keys of the store, and what is in them.
enum Keys {
    static let members = "members/"
    static let controller = "controller"
    static let partitions = "partitions/"

    static func member(_ id: ReplicaID) -> String { "\(members)\(id)" }
    static func partition(_ number: Int) -> String { "\(partitions)\(number)" }

    static func encode(_ id: ReplicaID) -> [UInt8] { Array("\(id)".utf8) }

    static func decodeID(_ bytes: [UInt8]) -> ReplicaID? {
        Int32(String(decoding: bytes, as: UTF8.self)).map { ReplicaID($0) }
    }

    static func encode(_ process: MemberProcess) -> [UInt8] {
        Array("\(process.id) \(process.incarnation)".utf8)
    }

    static func decodeProcess(_ bytes: [UInt8]) -> MemberProcess? {
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count == 2, let id = Int32(fields[0]), let incarnation = UInt64(fields[1])
        else { return nil }
        return MemberProcess(ReplicaID(id), incarnation: incarnation)
    }

    static func encode(_ state: PartitionState) -> [UInt8] {
        func list(_ ids: [ReplicaID]) -> String { ids.map(\.description).joined(separator: ",") }
        let text = [
            list(state.replicas), list(state.inSyncReplicas), "\(state.leader?.rawValue ?? -1)",
            "\(state.leaderEpoch)", "\(state.version)", state.target.map(list) ?? "-",
            state.wantsPreferredLeader ? "preferred" : "-",
        ].joined(separator: " ")
        return Array(text.utf8)
    }

    static func decodeState(_ bytes: [UInt8]) -> PartitionState? {
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count == 7, let leader = Int32(fields[2]), let epoch = Int32(fields[3]),
            let version = Int32(fields[4])
        else { return nil }
        func list(_ text: Substring) -> [ReplicaID] {
            text.split(separator: ",").compactMap { Int32($0).map { ReplicaID($0) } }
        }
        var state = PartitionState(
            replicas: list(fields[0]), inSyncReplicas: list(fields[1]),
            leader: leader < 0 ? nil : ReplicaID(leader), leaderEpoch: LeaderEpoch(epoch),
            version: version, target: fields[5] == "-" ? nil : list(fields[5]))
        state.wantsPreferredLeader = fields[6] != "-"
        return state
    }
}
