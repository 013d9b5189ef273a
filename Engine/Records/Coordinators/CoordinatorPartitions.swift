/// Which partitions of an internal topic a coordinator answers for, and from which epoch on. A
/// value.
package struct CoordinatorPartitions: Hashable, Sendable {
    /// How things stand with a partition that is led here.
    package enum Standing: Hashable, Sendable {
        /// Being read; whoever asks is told to ask again.
        case loading
        /// Served.
        case active
        /// It cannot be served, for this reason, until it is loaded again.
        case failed(String)
    }

    /// A partition that is led here.
    package struct Entry: Hashable, Sendable {
        /// The leader epoch in which this one leads it.
        package var epoch: LeaderEpoch
        /// How it stands.
        package var standing: Standing
    }

    /// Which topic it is.
    package let topic: InternalTopic
    /// How many partitions the topic has; 1 or more.
    package var count: Int32
    /// Those that are led here, by their numbers.
    package private(set) var led: [Int32: Entry] = [:]

    /// None is led yet.
    package init(topic: InternalTopic, count: Int32) {
        self.topic = topic
        self.count = max(count, 1)
    }

    /// The partition that keeps an id.
    package func partition(of id: String) -> Int32 {
        InternalTopic.partition(of: id, count: count)
    }

    /// Begins to lead a partition, which is to be loaded first. False where that is known, or of an
    /// older epoch than what is known: then nothing changes.
    package mutating func lead(_ partition: Int32, epoch: LeaderEpoch) -> Bool {
        if let known = led[partition] {
            guard epoch >= known.epoch else { return false }
            if epoch == known.epoch, known.standing == .active || known.standing == .loading {
                return false
            }
        }
        led[partition] = Entry(epoch: epoch, standing: .loading)
        return true
    }

    /// Says how a partition stands, unless it is led in another epoch by now, or not at all.
    ///
    /// - Returns: whether it was noted.
    @discardableResult
    package mutating func note(
        _ standing: Standing, of partition: Int32, epoch: LeaderEpoch
    ) -> Bool {
        guard led[partition]?.epoch == epoch else { return false }
        led[partition]?.standing = standing
        return true
    }

    /// Leads a partition no longer; false where it leads it in a newer epoch than this one, or did
    /// not lead it.
    ///
    /// - Parameter epoch: the epoch of the leader that follows; nil where that is not known.
    package mutating func resign(_ partition: Int32, epoch: LeaderEpoch?) -> Bool {
        guard let known = led[partition] else { return false }
        if let epoch, epoch < known.epoch { return false }
        led[partition] = nil
        return true
    }

    /// How things stand with the partition of an id; nil where it is not led here.
    package func standing(of id: String) -> Standing? { led[partition(of: id)]?.standing }

    /// The epoch in which the partition of an id is led; `.none` where it is not.
    package func epoch(of id: String) -> LeaderEpoch { led[partition(of: id)]?.epoch ?? .none }
}
