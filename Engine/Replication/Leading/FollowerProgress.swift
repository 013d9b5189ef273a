import TallyRecords

/// What a leader knows of a follower: how far it is, and since when it has not been.
struct FollowerProgress: Hashable, Sendable {
    /// Everything before it the follower has, as safely as the topic promises; nil until it asked
    /// for the first time in this epoch.
    private(set) var end: Offset?
    /// When the follower last had everything that there was.
    private(set) var caughtUp: CoordinationInstant
    private var lastFetch: Fetch?

    private struct Fetch: Hashable {
        var time: CoordinationInstant
        /// Where the leader's log ended then.
        var leaderEnd: Offset
    }

    /// A follower that has not asked yet; it has as long to do so as one that lags behind.
    init(since now: CoordinationInstant) { caughtUp = now }

    /// The follower is gone, as others say: it keeps up no more before it asks again.
    mutating func lapse() {
        end = nil
        lastFetch = nil
        caughtUp = CoordinationInstant(milliseconds: .min)
    }

    /// The follower asks for what comes at `offset`, so it has everything before.
    mutating func noteFetch(at offset: Offset, leaderEnd: Offset, now: CoordinationInstant) {
        // Having reached the end as it was at the fetch before, it was caught up then: under
        // steady appends the end of this moment is never reached.
        if offset >= leaderEnd {
            caughtUp = max(caughtUp, now)
        } else if let lastFetch, offset >= lastFetch.leaderEnd {
            caughtUp = max(caughtUp, lastFetch.time)
        }
        end = offset
        lastFetch = Fetch(time: now, leaderEnd: leaderEnd)
    }
}
