import Tally
import TallyClient

/// A record as both sides must have it.
struct RecordCopy: Hashable, Sendable {
    struct Header: Hashable, Sendable {
        var name: [UInt8]
        var value: [UInt8]?
    }

    var offset: Offset
    var timestamp: Timestamp
    var key: [UInt8]?
    var value: [UInt8]?
    var headers: [Header]

    init(_ record: borrowing RecordView) throws {
        offset = record.offset
        timestamp = record.timestamp
        key = record.keyBytes
        value = record.valueBytes
        headers = []
        guard record.headerCount > 0 else { return }
        var cursor = record.headers
        while let header = try cursor.next() {
            headers.append(Header(name: header.key.array, value: header.value?.array))
        }
    }

    /// Whether the other is the same but for its offset.
    func isSame(as other: RecordCopy) -> Bool {
        timestamp == other.timestamp && key == other.key && value == other.value
            && headers == other.headers
    }
}

/// Committed records of a partition here, one after the other. Used by one task.
struct SourceRecords {
    private var iterator: Consumer.Iterator
    private var records: ArraySlice<RecordCopy> = []

    init(_ id: TopicPartition, from offset: Offset, in engine: Engine) throws {
        let consumer = try engine.consumer(
            assigning: [id], ConsumerConfiguration(committedFrom: offset))
        iterator = consumer.makeAsyncIterator()
    }

    /// The next one; nil at the end.
    mutating func next() async throws -> RecordCopy? {
        while records.isEmpty {
            guard let fetched = try await iterator.next() else { return nil }
            var copies: [RecordCopy] = []
            try fetched.forEachRecord { copies.append(try RecordCopy($0)) }
            records = copies[...]
        }
        return records.removeFirst()
    }
}

/// Records of a partition in a cluster up to an offset, one after the other. Used by one task.
struct TargetRecords {
    private let reader: LogReader
    private let start: Offset
    private let end: Offset
    private var position: Offset
    private var records: ArraySlice<RecordCopy> = []

    init(
        _ id: TopicPartition, in range: Range<Offset>, of cluster: ClusterClient
    ) async {
        var settings = LogReaderConfiguration()
        settings.bytesMax = 4 << 20
        reader = LogReader(cluster, configuration: settings)
        (start, position, end) = (range.lowerBound, range.lowerBound, range.upperBound)
        if start < end { await reader.read(id, from: start) }
    }

    /// The next one; nil at the end. Markers are none.
    mutating func next() async throws -> RecordCopy? {
        while records.isEmpty {
            guard position < end else { return nil }
            for event in try await reader.next() { try take(event) }
        }
        return records.removeFirst()
    }

    private mutating func take(_ event: LogReaderEvent) throws {
        switch event {
        case .fetched(let fetched):
            var decoder = RecordDecoder()
            let bytes = Array(fetched.batches)
            var at = 0
            while at < bytes.count {
                let batch = try RecordBatch(bytes.span.bytes, at: at)
                try batch.verifyChecksum()
                at += batch.header.sizeInBytes
                guard !batch.header.attributes.isControl else { continue }
                try decoder.forEachRecord(in: batch) { record in
                    guard record.offset >= start, record.offset < end else { return }
                    records.append(try RecordCopy(record))
                }
            }
            position = fetched.nextOffset
        case .outOfRange(let id, let offset):
            throw CommandFailure(
                "\(id): the cluster has no offset \(offset) any more, which was exported to it")
        case .replaced(let id):
            throw CommandFailure(
                "topic \(id.topic) was deleted in the cluster meanwhile, and another one has its "
                    + "name")
        }
    }
}

extension ConsumerConfiguration {
    /// What was committed, from an offset up to the end there is.
    init(committedFrom offset: Offset) {
        self.init(start: .offset(offset), end: .currentEnd)
        isolation = .readCommitted
    }
}
