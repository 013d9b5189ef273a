import TallyGroups
import TallyRecords

extension World {
    /// What must hold of groups once the cluster has recovered: what the log has of them is what
    /// was acknowledged, or newer.
    func checkGroups() {
        guard let partition = internalPartitions[.consumerOffsets],
            let log = leader(of: partition)?.log
        else { return }
        let groups = SimulatedGroups.groups(of: log)
        for name in history.groups.names {
            let group = groups.first { $0.group == name }
            let found = group?.offsets.mapValues(\.offset) ?? [:]
            history.checkOffsets(found, of: name, notBelow: history.groups.committed(of: name))
            let newest = history.groups.newestGeneration(of: name)
            if newest >= 0, group?.metadata.generation ?? -1 < newest {
                history.violate(
                    .generationsFence,
                    "members of \(name) were told of generation \(newest), which is forgotten")
            }
        }
        if internalPartitions[.transactionState] == nil, history.groups.commitCount == 0 {
            history.violate(.recovers, "no offset was ever committed")
        }
    }
}
