import Synchronization
import TallyFiles

/// Bounds how many segments stay mapped: the one mapped longest ago and not used since goes first.
///
/// A dropped map lives on while a reader holds it. Thread rule: any thread; the lock is taken
/// only when a segment gets mapped, not when it is read.
package final class MapPool: Sendable {
    private let segmentsMax: Int
    private let queue = Mutex<Queue>(Queue())

    private struct Queue {
        var segments: [Segment] = []
        var hand = 0
    }

    /// Maps that readers may hold although their files are gone.
    private let unlinked = Mutex<[UnlinkedMap]>([])

    private struct UnlinkedMap: Sendable {
        weak var map: FileMapping?
        var byteCount: Int
    }

    /// Remembers a map whose file is gone, for as long as somebody holds it.
    func noteUnlinked(_ map: FileMapping, byteCount: Int) {
        unlinked.withLock { unlinked in
            unlinked.removeAll { $0.map == nil }
            unlinked.append(UnlinkedMap(map: map, byteCount: byteCount))
        }
    }

    /// Bytes of files that are gone and that readers still hold: disk space that is given back
    /// when they let go.
    package var unlinkedByteCount: Int {
        unlinked.withLock { $0.reduce(0) { $0 + ($1.map == nil ? 0 : $1.byteCount) } }
    }

    package init(segmentsMax: Int) { self.segmentsMax = max(segmentsMax, 1) }

    /// Segments that hold a map now.
    package var mappedCount: Int { queue.withLock { $0.segments.count } }

    /// Enters a segment that was just mapped, and drops another's maps when there are too many.
    func admit(_ segment: Segment) {
        let evicted: Segment? = queue.withLock { queue in
            guard queue.segments.count >= segmentsMax else {
                queue.segments.append(segment)
                return nil
            }
            while queue.segments[queue.hand].takeRecentUse() {
                queue.hand = (queue.hand + 1) % segmentsMax
            }
            let victim = queue.segments[queue.hand]
            queue.segments[queue.hand] = segment
            queue.hand = (queue.hand + 1) % segmentsMax
            return victim
        }
        evicted?.dropMaps()
    }

    /// Forgets segments whose log was closed or deleted.
    func remove(_ segments: [Segment]) {
        let gone = Set(segments.map { ObjectIdentifier($0) })
        queue.withLock { queue in
            queue.segments.removeAll { gone.contains(ObjectIdentifier($0)) }
            queue.hand = 0
        }
        for segment in segments { segment.dropMaps() }
    }
}
