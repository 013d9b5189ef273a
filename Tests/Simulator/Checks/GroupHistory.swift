import TallyGroups
import TallyRecords

/// What coordinators have acknowledged to members of groups.
final class GroupHistory {
    private(set) var commitCount = 0
    private var generations: [String: Int32] = [:]
    private var offsets: [String: [TopicPartition: Offset]] = [:]

    /// The groups of which anything was acknowledged.
    var names: [String] { Set(offsets.keys).union(generations.keys).sorted() }

    /// The newest generation of a group that a member was told of.
    func newestGeneration(of group: String) -> Int32 { generations[group] ?? -1 }

    func noteGeneration(_ generation: Int32, of group: String) {
        generations[group] = max(newestGeneration(of: group), generation)
    }

    /// The offsets of a group whose commit was acknowledged.
    func committed(of group: String) -> [TopicPartition: Offset] { offsets[group] ?? [:] }

    /// A commit is acknowledged.
    func noteCommit(_ committed: [TopicPartition: Offset], of group: String) {
        commitCount += 1
        offsets[group, default: [:]].merge(committed) { max($0, $1) }
    }
}

extension History {
    /// A commit is acknowledged, of a member that had asked when so new a generation was told of.
    func noteCommit(_ request: OffsetCommitRequest, whileNewest newest: Int32) {
        if request.caller.generation >= 0, request.caller.generation < newest {
            violate(
                .generationsFence,
                "an offset of generation \(request.caller.generation) of \(request.group) is "
                    + "committed after members were told of \(newest)")
        }
        groups.noteCommit(request.offsets.mapValues(\.offset), of: request.group)
    }

    /// Somebody is told what is committed; `acknowledged` was when it was asked for.
    func checkOffsets(
        _ found: [TopicPartition: Offset], of group: String,
        notBelow acknowledged: [TopicPartition: Offset]
    ) {
        for (place, offset) in acknowledged.sorted(by: { $0.key < $1.key })
        where found[place] ?? Offset(-1) < offset {
            violate(
                .offsetsStay,
                "\(group) has committed \(offset) of \(place), and is told of "
                    + "\(found[place]?.description ?? "none")")
        }
    }
}
