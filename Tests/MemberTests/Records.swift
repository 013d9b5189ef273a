import TallyClient
import TallyLog
import TallyRecords
import TallyWire

extension ClusterClient {
    /// Sends values to a partition's leader, as one batch.
    ///
    /// - Parameter retries: whether errors that may pass are waited for.
    /// Returns the offset of the first.
    @discardableResult
    func produce(
        _ values: [String], to topic: String, _ partition: Int32 = 0, acks: Int16 = -1,
        retries: Bool = true
    ) async throws -> Int64 {
        var builder = try RecordBatchBuilder(codec: .none)
        for value in values {
            let (key, value) = (Array("k".utf8), Array(value.utf8))
            try builder.append(key: key.rawSpan, value: value.rawSpan, timestamp: .now)
        }
        var bytes: [UInt8] = []
        bytes.append(try builder.finish(producer: .none))
        var request = ProduceRequest()
        request.acks = acks
        request.timeoutMilliseconds = 5000
        var records = ProduceRequest.Partition()
        records.index = partition
        records.records = bytes[...]
        var wanted = ProduceRequest.Topic()
        wanted.name = topic
        wanted.partitions = [records]
        request.topics = [wanted]
        let place = TopicPartition(topic: topic, partition: partition)
        if retries {
            let answer = try await ask(.leader(place), request, about: "\(place)") {
                ($0.responses[0].partitions[0].errorCode, nil)
            }
            return answer.responses[0].partitions[0].baseOffset
        }
        let answer = try await connect(.leader(place)).send(request).responses[0].partitions[0]
        guard answer.errorCode == .none else {
            throw ClientError.refused(
                request: "Produce", subject: "\(place)", code: answer.errorCode, message: nil)
        }
        return answer.baseOffset
    }
}

extension PartitionLog {
    /// All bytes of the log from an offset on, committed or not.
    func bytes(from start: Offset = .zero) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var next = max(start, logStart)
        while let slice = try read(from: next, bytesMax: 1 << 20, bound: .logEnd) {
            bytes.append(slice.content.all)
            next = slice.nextOffset
        }
        return bytes
    }
}
