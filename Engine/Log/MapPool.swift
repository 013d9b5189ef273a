import Synchronization

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
