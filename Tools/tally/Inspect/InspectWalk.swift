import TallyLog
import TallyRecords

/// Visits the batches of what was pointed at, in file order, to the end of each file.
struct InspectWalk {
    let target: InspectTarget
    let streams: CommandStreams

    /// Visits each batch of a part. What is no batch ends the walk with a ``CommandFailure``,
    /// except at the end of the last segment, where a writer may be at work.
    func forEachBatch(
        of part: InspectTarget.Part, in snapshot: PartitionSnapshot,
        _ visit: (BatchHandle, Segment) throws -> Void
    ) throws {
        for segment in try target.segments(of: part, in: snapshot) {
            var walk = try snapshot.walk(segment)
            let isLast = segment === snapshot.segments.last
            walking: while true {
                switch try walk.next() {
                case .end: break walking
                case .batch(let batch): try visit(batch, segment)
                case .damage(let damage):
                    guard isLast, damage.isIncomplete else {
                        throw damage.failure(in: segment)
                    }
                    try streams.note(
                        "note: \(segment.path): byte \(damage.position): the last batch is not "
                            + "written whole (yet)")
                    break walking
                }
            }
        }
    }
}
