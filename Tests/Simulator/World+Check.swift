import TallyRecords
import TallyReplication

extension World {
    /// What must hold once the cluster has recovered.
    func check() {
        guard history.violations.isEmpty else { return }
        for partition in 0..<partitionCount {
            checkReplicas(of: partition)
            checkAcknowledged(in: partition)
        }
    }

    private func leader(of partition: Int) -> SimulatedReplica? {
        guard let entry = store.entry(of: Keys.partition(partition)),
            let id = Keys.decodeState(entry.value)?.leader
        else { return nil }
        return member(id).replicas[partition]
    }

    /// All replicas agree below their high watermarks, and the cluster works again.
    private func checkReplicas(of partition: Int) {
        guard let entry = store.entry(of: Keys.partition(partition)),
            let state = Keys.decodeState(entry.value), let leader = leader(of: partition)
        else {
            return history.violate(.recovers, "partition \(partition) has no leader in the end")
        }
        if state.inSyncReplicas.count < state.replicas.count {
            history.violate(.recovers, "partition \(partition) is not whole in the end: \(state)")
        }
        let log = leader.log.records
        for id in state.replicas {
            let other = member(id).replicas[partition].log
            let end = Int(min(other.highWatermark, leader.log.highWatermark).rawValue)
            if let index = (0..<end).first(where: { other.records[$0] != log[$0] }) {
                history.violate(
                    .replicasAgree,
                    "offset \(index) of \(partition) is \(other.records[index]) at \(id), and "
                        + "\(log[index]) at its leader")
            }
        }
        for (offset, record) in history.consumed[partition]
        where !log.indices.contains(Int(offset.rawValue)) || log[Int(offset.rawValue)] != record {
            history.violate(.readsAgree, "offset \(offset) of \(partition) was read as \(record)")
        }
        let recent = history.acknowledgements.last { $0.partition == partition }
        if recent?.epoch != state.leaderEpoch {
            history.violate(
                .recovers, "nothing is acknowledged in \(partition) in the end, in \(state)")
        }
    }

    /// Every acknowledged record is there exactly once, at its offset, in order.
    private func checkAcknowledged(in partition: Int) {
        guard let log = leader(of: partition)?.log else { return }
        for promise in history.acknowledgements where promise.partition == partition {
            let index = Int(promise.offset.rawValue)
            guard index < log.records.count, log.records[index].producer == promise.producer,
                log.records[index].sequence == promise.sequence
            else {
                history.violate(
                    .acknowledgedStays, "acknowledged, and not at its offset: \(promise)")
                continue
            }
        }
        var last: [Int: Int] = [:]
        for record in log.records {
            if record.sequence != (last[record.producer] ?? -1) + 1 {
                history.violate(.onceInOrder, "out of order or twice in \(partition): \(record)")
            }
            last[record.producer] = record.sequence
        }
    }
}
