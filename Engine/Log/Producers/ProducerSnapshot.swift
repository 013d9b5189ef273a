import TallyFiles
import TallyRecords

/// Kafka's `.snapshot` file: what a partition knew of its producers at an offset, which is the
/// file's name. Big-endian:
///
/// ```
/// version int16 = 1 | crc uint32 | count int32 | entries
/// entry  producer id int64 | epoch int16 | last sequence int32 | last offset int64 |
///        offset delta int32 | timestamp int64 | coordinator epoch int32 |
///        first offset of the open transaction int64, -1 without one
/// ```
///
/// The CRC-32C covers everything behind it. Of the last batches only the newest is kept. After
/// Kafka's `ProducerSnapshot` message.
enum ProducerSnapshot {
    static let version: Int16 = 1
    private static let headerByteCount = 10
    private static let entryByteCount = 46
    /// Larger files are not believed: over a million producers.
    static let byteCountMax = 64 << 20

    // MARK: Encoding

    static func encode(_ producers: some Collection<ProducerState>) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(4 + producers.count * entryByteCount)
        body.append(bigEndian: Int32(producers.count))
        for producer in producers.sorted(by: { $0.producerID < $1.producerID }) {
            let last = producer.batches.last
            body.append(bigEndian: producer.producerID)
            body.append(bigEndian: producer.epoch)
            body.append(bigEndian: last?.lastSequence ?? -1)
            body.append(bigEndian: last?.lastOffset.rawValue ?? -1)
            body.append(bigEndian: last?.offsetDelta ?? 0)
            body.append(bigEndian: producer.lastTimestamp.rawValue)
            body.append(bigEndian: producer.coordinatorEpoch)
            body.append(bigEndian: producer.transactionStart?.rawValue ?? -1)
        }
        var bytes: [UInt8] = []
        bytes.append(bigEndian: version)
        bytes.append(bigEndian: Checksum.crc32c(body.rawSpan))
        return bytes + body
    }

    // MARK: Decoding

    /// The producers in a snapshot, or why it holds none.
    static func decode(_ bytes: [UInt8]) throws(Malformed) -> [ProducerState] {
        let span = bytes.rawSpan
        guard bytes.count >= headerByteCount else {
            throw Malformed("\(bytes.count) bytes are no whole header")
        }
        let found = span.bigEndian(at: 0, as: Int16.self)
        guard found == version else { throw Malformed("version \(found) is not known") }
        let stored = span.bigEndian(at: 2, as: UInt32.self)
        let computed = Checksum.crc32c(span.part(at: 6, count: bytes.count - 6))
        guard stored == computed else {
            throw Malformed("checksum mismatch: \(stored) stored, \(computed) computed")
        }
        let count = Int(span.bigEndian(at: 6, as: Int32.self))
        guard count >= 0, bytes.count - headerByteCount == count * entryByteCount else {
            throw Malformed("\(count) entries do not fill \(bytes.count) bytes")
        }
        return (0..<count).map { producer(in: span, at: headerByteCount + $0 * entryByteCount) }
    }

    private static func producer(in span: RawSpan, at position: Int) -> ProducerState {
        var producer = ProducerState(producerID: span.bigEndian(at: position, as: Int64.self))
        producer.epoch = span.bigEndian(at: position + 8, as: Int16.self)
        let lastSequence = span.bigEndian(at: position + 10, as: Int32.self)
        let lastOffset = span.bigEndian(at: position + 14, as: Int64.self)
        let delta = span.bigEndian(at: position + 22, as: Int32.self)
        producer.lastTimestamp = Timestamp(
            milliseconds: span.bigEndian(at: position + 26, as: Int64.self))
        producer.coordinatorEpoch = span.bigEndian(at: position + 34, as: Int32.self)
        let start = span.bigEndian(at: position + 38, as: Int64.self)
        producer.transactionStart = start < 0 ? nil : Offset(start)
        if lastSequence >= 0, lastOffset >= 0, delta >= 0 {
            producer.batches = [
                ProducerBatchRange(
                    firstSequence: (lastSequence &- delta) & .max, lastSequence: lastSequence,
                    lastOffset: Offset(lastOffset), offsetDelta: delta,
                    timestamp: producer.lastTimestamp)
            ]
        }
        return producer
    }

    /// Why a file is no snapshot.
    struct Malformed: Error, Hashable, CustomStringConvertible {
        var description: String
        init(_ reason: String) { description = reason }
    }

    // MARK: Files

    static func path(_ directory: String, _ offset: Offset) -> String {
        joinPath(directory, SegmentName.file(offset, .producerSnapshot))
    }

    /// The snapshot at an offset; nil where there is none or it is not sound.
    static func read(
        _ directory: String, at offset: Offset, on files: any FileSystem
    ) throws(FileError) -> [ProducerState]? {
        let bytes: [UInt8]?
        do throws(FileError) {
            bytes = try files.readWhole(path(directory, offset), byteCountMax: byteCountMax)
        } catch {
            if error.isTooLarge { return nil }
            throw error
        }
        guard let bytes, let producers = try? decode(bytes) else { return nil }
        // What lies behind the snapshot cannot be known to it.
        let isSound = producers.allSatisfy { producer in
            (producer.transactionStart ?? .zero) < max(offset, Offset(1))
                && (producer.batches.last?.lastOffset ?? .zero) < max(offset, Offset(1))
        }
        return isSound ? producers : nil
    }

    /// Whether a snapshot of so many producers would be read again.
    static func canHold(_ count: Int) -> Bool {
        count <= (byteCountMax - headerByteCount) / entryByteCount
    }

    /// Removes the snapshots at these offsets, where they are there.
    static func remove(
        _ offsets: some Sequence<Offset>, in directory: String, on files: any FileSystem
    ) throws(LogError) {
        do throws(FileError) {
            for offset in offsets {
                let path = path(directory, offset)
                if try files.information(path) != nil { try files.remove(path) }
            }
        } catch {
            throw .file(error)
        }
    }

    /// The offsets of the snapshots among file names, rising.
    static func offsets(among names: [String]) -> [Offset] {
        names.compactMap { SegmentName.baseOffset(of: $0, .producerSnapshot) }.sorted()
    }
}
