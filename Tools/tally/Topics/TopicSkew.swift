import Tally

/// How a topic's records spread over its partitions and keys. A value.
package struct TopicSkew {
    /// One partition.
    package struct Part {
        package var index: Int32
        package var recordCount = 0
        /// Records without a key.
        package var keylessCount = 0
        /// Bytes of keys and values, before compression.
        package var byteCount = 0

        package init(index: Int32) { self.index = index }
    }

    /// What the load goes by, for the largest share.
    package enum Cause: Hashable {
        /// Even, as far as it matters, or there is but one partition.
        case none
        /// One key has more than half of a partition's fair share of all records.
        case hotKey
        /// There are hardly more keys than partitions.
        case fewKeys
        /// Records without a key were sent to one partition.
        case keyless
        /// The records spread evenly, and the bytes do not.
        case largeRecords
        /// Nothing of that: keys of middling weight came together.
        case collisions
    }

    package private(set) var parts: [Part]
    package private(set) var keys: SpaceSaving<SurveyedKey>
    package let isCompacted: Bool

    /// A partition is busy from this many times its fair share on.
    package static let ratioMax = 1.5

    package init(partitionCount: Int, isCompacted: Bool, counterCount: Int) {
        parts = (0..<Int32(partitionCount)).map { Part(index: $0) }
        keys = SpaceSaving(capacity: counterCount)
        self.isCompacted = isCompacted
    }

    /// Counts a record.
    package mutating func note(partition: Int, key: RawSpan?, byteCount: Int) {
        parts[partition].recordCount += 1
        parts[partition].byteCount += byteCount
        if let key {
            keys.add(SurveyedKey(key))
        } else {
            parts[partition].keylessCount += 1
        }
    }

    // MARK: Sums

    package var recordCount: Int { parts.reduce(0) { $0 + $1.recordCount } }
    package var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }

    /// A part of a whole; 0 of nothing.
    package static func share(_ part: Int, of whole: Int) -> Double {
        whole == 0 ? 0 : Double(part) / Double(whole)
    }

    /// The partition with the most bytes; the first of equals.
    package var busiest: Part? {
        parts.max { ($0.byteCount, -$0.index) < ($1.byteCount, -$1.index) }
    }

    /// The busiest partition's share of all bytes.
    package var busiestShare: Double { Self.share(busiest?.byteCount ?? 0, of: byteCount) }

    /// The busiest partition's bytes, as so many times the mean.
    package var ratio: Double { busiestShare * Double(parts.count) }

    // MARK: Cause

    /// Why the busiest partition is the busiest.
    package var cause: Cause {
        guard let busiest, parts.count > 1, ratio > Self.ratioMax else { return .none }
        let fair = 1 / Double(parts.count)
        if let top = keys.heaviest(1).first,
            Self.share(top.countMin, of: recordCount) > fair / 2
        {
            return keys.isExact && keys.counterCount < 3 * parts.count ? .fewKeys : .hotKey
        }
        if 2 * busiest.keylessCount > busiest.recordCount { return .keyless }
        if Self.share(busiest.recordCount, of: recordCount) * Double(parts.count) < 1.2 {
            return .largeRecords
        }
        return keys.isExact && keys.counterCount < 3 * parts.count ? .fewKeys : .collisions
    }
}
