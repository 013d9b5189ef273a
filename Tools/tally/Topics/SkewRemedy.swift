/// What can be done about a busy partition, and whether it fits what was found. A value.
package struct SkewRemedy: Hashable {
    /// The known remedies.
    package enum Kind: String, CaseIterable {
        case finerKey = "finer key"
        case shardSuffix = "shard suffix"
        case timeBucket = "time bucket"
        case nullKey = "null key with aggregation"
        case separateTopic = "separate topic"

        /// What of the API makes such keys.
        package var helper: String? {
            switch self {
            case .finerKey: "KeyPattern.composite"
            case .shardSuffix: "KeyPattern.sharded"
            case .timeBucket: "KeyPattern.timeBucket"
            case .nullKey: "KeyPattern.none"
            case .separateTopic: nil
            }
        }
    }

    /// Whether it helps here.
    package enum Fit: String {
        case fits
        /// It depends on what records mean, which the log does not say.
        case perhaps
        case no
    }

    package var kind: Kind
    package var fit: Fit
    package var reason: String

    private init(_ kind: Kind, _ fit: Fit, _ reason: String) {
        self.kind = kind
        self.fit = fit
        self.reason = reason
    }

    /// All remedies, held against a cause; none where there is nothing to remedy.
    package static func remedies(for skew: TopicSkew) -> [SkewRemedy] {
        let all =
            switch skew.cause {
            case .none: [SkewRemedy]()
            case .hotKey: hotKey(skew)
            case .fewKeys: fewKeys
            case .keyless: keyless
            case .largeRecords: largeRecords
            case .collisions: collisions
            }
        guard skew.isCompacted else { return all }
        return all.map { remedy in
            switch remedy.kind {
            case .shardSuffix, .timeBucket:
                SkewRemedy(
                    remedy.kind, .no,
                    "the topic is compacted: it would keep a record of each shard or bucket, and "
                        + "none of them would be the key's latest state")
            case .nullKey:
                SkewRemedy(remedy.kind, .no, "the topic is compacted, and that takes keys")
            default: remedy
            }
        }
    }

    private static func hotKey(_ skew: TopicSkew) -> [SkewRemedy] {
        // Few heavy keys are a class of their own; many are how the load is.
        let fair = 1 / Double(skew.parts.count)
        let heavy = skew.keys.heaviest(10).count {
            TopicSkew.share($0.countMin, of: skew.recordCount) > fair / 2
        }
        return [
            SkewRemedy(
                .finerKey, .perhaps,
                "where what has to stay in order is smaller than the key (an item of a category, a "
                    + "driver in a city): the best remedy, since nothing is given up that is needed"
            ),
            SkewRemedy(
                .shardSuffix, .fits,
                "one key is too busy for one partition, and more partitions do not divide it; "
                    + "order stays within a shard, so shard by what has to stay in order"),
            SkewRemedy(
                .timeBucket, .perhaps,
                "where order matters within a span of time only; it moves the load on with each "
                    + "bucket, and at any one moment one partition still has it all"),
            SkewRemedy(
                .nullKey, .perhaps,
                "where records are only counted or summed: spread them evenly, sum up per "
                    + "consumer, and sum the sums"),
            SkewRemedy(
                .separateTopic, heavy <= 3 ? .perhaps : .no,
                heavy <= 3
                    ? "\(heavy == 1 ? "one key is" : "\(heavy) keys are") far busier than the "
                        + "rest: in a topic apart nobody else waits behind, and it can have "
                        + "consumers of its own"
                    : "\(heavy) keys are heavy: that is no exception to move away"),
        ]
    }

    private static var fewKeys: [SkewRemedy] {
        [
            SkewRemedy(
                .finerKey, .fits,
                "there are hardly more keys than partitions, so that chance decides which "
                    + "partition gets several: a key with many more values spreads"),
            SkewRemedy(
                .shardSuffix, .perhaps, "where no finer key exists: it multiplies the keys"),
            SkewRemedy(
                .timeBucket, .perhaps,
                "where order matters within a span of time only; evens out over time, not at a "
                    + "moment"),
            SkewRemedy(.nullKey, .perhaps, "where records are only counted or summed"),
            SkewRemedy(.separateTopic, .no, "no key stands apart from the others"),
        ]
    }

    private static var keyless: [SkewRemedy] {
        let reason = "records without a key were sent to this partition by its number, or by "
        let all = reason + "producers that send too little to fill a batch"
        return [
            SkewRemedy(.finerKey, .perhaps, all + "; a key spreads them, if they have a subject"),
            SkewRemedy(.shardSuffix, .no, "there is no key to shard"),
            SkewRemedy(.timeBucket, .no, "there is no key to put in buckets"),
            SkewRemedy(
                .nullKey, .fits, all + ": leave the partition's number away, and share a producer"),
            SkewRemedy(.separateTopic, .no, "it would be as uneven there"),
        ]
    }

    private static var largeRecords: [SkewRemedy] {
        [
            SkewRemedy(.finerKey, .no, "the records spread evenly already: some are large"),
            SkewRemedy(.shardSuffix, .no, "the records spread evenly already: some are large"),
            SkewRemedy(.timeBucket, .no, "the records spread evenly already: some are large"),
            SkewRemedy(.nullKey, .no, "the records spread evenly already: some are large"),
            SkewRemedy(
                .separateTopic, .fits,
                "large records hold up the small ones behind them: give them a topic of their own, "
                    + "or store them elsewhere and send their name"),
        ]
    }

    private static var collisions: [SkewRemedy] {
        [
            SkewRemedy(
                .finerKey, .fits,
                "no key is too busy by itself, but several busy ones share a partition: finer keys "
                    + "even that out"),
            SkewRemedy(.shardSuffix, .perhaps, "for the busiest keys, where no finer key exists"),
            SkewRemedy(
                .timeBucket, .perhaps, "where order matters within a span of time only"),
            SkewRemedy(.nullKey, .perhaps, "where records are only counted or summed"),
            SkewRemedy(.separateTopic, .no, "no key stands apart from the others"),
        ]
    }
}
