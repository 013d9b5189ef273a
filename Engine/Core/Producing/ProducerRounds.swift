import DequeModule

/// Batches under way, by the round they were opened in. A flush ends a round: it waits for the
/// batches of its round and of earlier ones, and not for what others send meanwhile.
///
/// A value type.
struct ProducerRounds {
    /// Batches that are open or under way, from the oldest round that has some to the newest.
    private var counts: Deque<Int> = [0]
    /// The round of the first count.
    private var first = 0

    /// The oldest round that has batches, or the one that has not ended: all batches of earlier
    /// rounds have arrived or failed.
    var oldest: Int { first }

    /// Notes a batch and returns its round.
    mutating func open() -> Int {
        counts[counts.count - 1] += 1
        return first + counts.count - 1
    }

    /// Notes that a batch of a round has arrived, or failed to.
    mutating func close(_ round: Int) {
        counts[round - first] -= 1
        forgetFinished()
    }

    /// Ends the newest round and returns it; batches that are opened from now on are of the next.
    mutating func end() -> Int {
        counts.append(0)
        defer { forgetFinished() }
        return first + counts.count - 2
    }

    private mutating func forgetFinished() {
        while counts.count > 1, counts[0] == 0 {
            counts.removeFirst()
            first += 1
        }
    }
}
