import TallyRecords

extension SimulatedRecord {
    /// The batch of one record that stands for it in a file, at an offset. The time of all is the
    /// same, so that a batch is the same wherever it is written.
    func encoded(
        at offset: Offset, _ builder: inout RecordBatchBuilder
    ) throws(RecordError) -> [UInt8] {
        var batch: [UInt8]
        if case .marker(let didCommit, let coordinatorEpoch) = content {
            batch = try ControlRecord.encodeBatch(
                didCommit: didCommit, coordinatorEpoch: coordinatorEpoch, producerID: producer.id,
                producerEpoch: producer.epoch, timestamp: Self.time)
        } else {
            builder.reset()
            let value = value
            try builder.append(key: nil, value: value.span.bytes, timestamp: Self.time)
            let bytes = try builder.finish(
                producer: producer, isTransactional: isTransactional)
            batch = bytes.withUnsafeBytes { Array($0) }
        }
        // Neither lies in the checksum, as the log knows, which sets them in place too.
        Self.put(offset.rawValue, at: 0, in: &batch)
        Self.put(epoch.rawValue, at: 12, in: &batch)
        return batch
    }

    static let time = Timestamp(milliseconds: 1_700_000_000_000)

    private static func put(
        _ value: some FixedWidthInteger, at position: Int, in bytes: inout [UInt8]
    ) {
        var encoded: [UInt8] = []
        encoded.append(bigEndian: value)
        bytes.replaceSubrange(position..<position + encoded.count, with: encoded)
    }

    // MARK: The value

    private var value: [UInt8] {
        var bytes: [UInt8] = []
        switch content {
        case .marker: break
        case .data(let number):
            bytes.append(bigEndian: Int32(-1))
            bytes.append(bigEndian: Int64(number))
        case .state(let records):
            bytes.append(bigEndian: Int32(records.count))
            for record in records {
                bytes.append(bigEndian: Int32(record.key.count))
                bytes += record.key
                bytes.append(bigEndian: Int32(record.value?.count ?? -1))
                bytes += record.value ?? []
            }
        }
        return bytes
    }

    /// The record that a batch of a file stands for.
    init(_ header: RecordBatchHeader, control: ControlRecord?, value: [UInt8]) {
        self.init(
            epoch: header.partitionLeaderEpoch,
            producer: BatchProducer(
                id: header.producerID, epoch: header.producerEpoch,
                baseSequence: header.baseSequence),
            isTransactional: header.attributes.isTransactional,
            content: control.map {
                .marker(didCommit: $0.kind == .commit, coordinatorEpoch: $0.coordinatorEpoch)
            } ?? Self.content(of: value))
    }

    private static func content(of value: [UInt8]) -> Content {
        var rest = value[...]
        func next<Integer: FixedWidthInteger>(_: Integer.Type) -> Integer {
            let size = Integer.bitWidth / 8
            defer { rest = rest.dropFirst(size) }
            return rest.prefix(size).reduce(0) { $0 << 8 | Integer(truncatingIfNeeded: $1) }
        }
        func bytes(_ count: Int) -> [UInt8] {
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        let count = next(Int32.self)
        guard count >= 0 else { return .data(Int(next(Int64.self))) }
        return .state(
            (0..<count).map { _ in
                let key = bytes(Int(next(Int32.self)))
                let size = next(Int32.self)
                return CoordinatorRecord(key: key, value: size < 0 ? nil : bytes(Int(size)))
            })
    }
}
