import TallyRecords
import TallyReplication
import TallyTransactions

extension World {
    /// What must hold once the cluster has recovered.
    func check() {
        guard history.violations.isEmpty, !lostDisks.isPromiseVoid else { return }
        for partition in 0..<partitionCount {
            checkReplicas(of: partition)
            checkAcknowledged(in: partition)
        }
        checkTransactions()
        checkGroups()
    }

    func leader(of partition: Int) -> SimulatedReplica? {
        guard let id = state(of: partition)?.leader else { return nil }
        return member(id).replicas[partition]
    }

    /// All replicas agree below their high watermarks, and the cluster works again.
    private func checkReplicas(of partition: Int) {
        guard let state = state(of: partition), let leader = leader(of: partition)
        else {
            return history.violate(.recovers, "partition \(partition) has no leader in the end")
        }
        if state.target != nil || state.wantsPreferredLeader {
            history.violate(.recovers, "partition \(partition) is still on its way: \(state)")
        }
        if state.inSyncReplicas.count < state.replicas.count {
            history.violate(.recovers, "partition \(partition) is not whole in the end: \(state)")
        }
        let log = leader.log.all
        for id in state.replicas {
            let other = member(id).replicas[partition].log
            let end = min(other.highWatermark, leader.log.highWatermark)
            let others = other.records(from: .zero, before: end, countMax: .max)
            if let index = others.indices.first(where: { others[$0] != log[$0] }) {
                history.violate(
                    .replicasAgree,
                    "offset \(index) of \(partition) is \(others[index]) at \(id), and "
                        + "\(log[index]) at its leader")
            }
        }
        for (offset, record) in history.consumed[partition]
        where !log.indices.contains(Int(offset.rawValue)) || log[Int(offset.rawValue)] != record {
            history.violate(.readsAgree, "offset \(offset) of \(partition) was read as \(record)")
        }
        guard partition < dataPartitionCount else { return }
        let recent = history.acknowledgements.last { $0.partition == partition }
        if recent?.epoch != state.leaderEpoch {
            history.violate(
                .recovers, "nothing is acknowledged in \(partition) in the end, in \(state)")
        }
    }

    /// Every acknowledged record is there exactly once, at its offset, in order.
    private func checkAcknowledged(in partition: Int) {
        guard let log = leader(of: partition)?.log.all else { return }
        for promise in history.acknowledgements where promise.partition == partition {
            let index = Int(promise.offset.rawValue)
            guard index < log.count, log[index].producer == promise.producer else {
                history.violate(
                    .acknowledgedStays, "acknowledged, and not at its offset: \(promise)")
                continue
            }
        }
        var last: [ProducerIdentity: Int32] = [:]
        for record in log where record.producer.baseSequence >= 0 {
            let producer = ProducerIdentity(id: record.producer.id, epoch: record.producer.epoch)
            if record.producer.baseSequence != (last[producer] ?? -1) + 1 {
                history.violate(.onceInOrder, "out of order or twice in \(partition): \(record)")
            }
            last[producer] = record.producer.baseSequence
        }
    }
}
