import Tally
import TallyServer
import TallyTestSupport
import TallyWire

/// An engine with a server of it, in a directory of a test's own.
///
/// Thread rule: any.
final class ServedEngine: Sendable {
    let engine: Engine
    let server: TallyServer
    let address: ServerAddress

    private init(_ engine: Engine, _ server: TallyServer, _ address: ServerAddress) {
        self.engine = engine
        self.server = server
        self.address = address
    }

    /// Runs a closure with one, and closes both in order, whatever happens.
    static func with(
        engine changeEngine: (inout EngineConfiguration) -> Void = { _ in },
        server changeServer: (inout ServerConfiguration) -> Void = { _ in },
        _ body: (ServedEngine) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.groups.sessionTimeoutMillisecondsMin = 100
        changeEngine(&configuration)
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        var serverConfiguration = ServerConfiguration()
        serverConfiguration.port = 0
        changeServer(&serverConfiguration)
        let server = try TallyServer(engine: engine, configuration: serverConfiguration)
        do {
            let served = ServedEngine(engine, server, try await server.start())
            try await body(served)
        } catch {
            await server.shutdown()
            try? await engine.close()
            throw error
        }
        await server.shutdown()
        try await engine.close()
    }

    func connect() async throws -> WireClient { try await .connect(to: address) }
}

extension EngineConfiguration {
    /// Has groups and transactions recorded in internal topics, or not.
    mutating func record(_ isRecorded: Bool) {
        internalTopics = isRecorded ? InternalTopicsConfiguration() : nil
    }
}

/// A batch of records of text.
func batch(
    _ values: [String], key: String? = "k", producer: BatchProducer = .none,
    isTransactional: Bool = false, codec: Codec = .none, timestamp: Timestamp = .now
) throws -> [UInt8] {
    var builder = try RecordBatchBuilder(codec: codec)
    for value in values {
        let value = Array(value.utf8)
        if let key = key.map({ Array($0.utf8) }) {
            try builder.append(key: key.rawSpan, value: value.rawSpan, timestamp: timestamp)
        } else {
            try builder.append(key: nil, value: value.rawSpan, timestamp: timestamp)
        }
    }
    var bytes: [UInt8] = []
    bytes.append(try builder.finish(producer: producer, isTransactional: isTransactional))
    return bytes
}

extension ProduceRequest {
    /// Batches for one partition.
    init(
        _ records: [UInt8], to topic: String, partition: Int32 = 0, acks: Int16 = -1,
        transactionalID: String? = nil
    ) {
        self.init()
        self.acks = acks
        self.transactionalID = transactionalID
        timeoutMilliseconds = 10_000
        var answer = Topic()
        answer.name = topic
        var wanted = Partition()
        wanted.index = partition
        wanted.records = records[...]
        answer.partitions = [wanted]
        topics = [answer]
    }
}

extension FetchRequest {
    /// One partition from an offset.
    init(
        _ topic: String, partition: Int32 = 0, from offset: Int64 = 0, maxBytes: Int32 = 1 << 20,
        minBytes: Int32 = 1, maxWait: Int32 = 0, isCommitted: Bool = false
    ) {
        self.init()
        self.maxBytes = maxBytes
        self.minBytes = minBytes
        maxWaitMilliseconds = maxWait
        isolationLevel = isCommitted ? 1 : 0
        sessionEpoch = -1
        var wanted = Topic()
        wanted.topic = topic
        var part = Partition()
        part.partition = partition
        part.fetchOffset = offset
        part.partitionMaxBytes = maxBytes
        wanted.partitions = [part]
        topics = [wanted]
    }
}

extension WireClient {
    /// Appends to one partition.
    func produce(
        _ records: [UInt8], to topic: String, partition: Int32 = 0, acks: Int16 = -1,
        transactionalID: String? = nil, version: Int16 = 9
    ) async throws -> ProduceResponse.Partition {
        let response = try await ask(
            ProduceRequest(
                records, to: topic, partition: partition, acks: acks,
                transactionalID: transactionalID), version: version)
        guard let partition = response.responses.first?.partitions.first else { throw NoAnswer() }
        return partition
    }

    /// Reads one partition.
    func fetch(
        _ request: FetchRequest, version: Int16 = 12
    ) async throws -> FetchResponse.Partition {
        let response = try await ask(request, version: version)
        guard let partition = response.responses.first?.partitions.first else { throw NoAnswer() }
        return partition
    }
}

/// The values of the records in batches that were fetched, with their offsets.
func values(in records: ArraySlice<UInt8>?) throws -> [String] {
    let bytes = Array(records ?? [])
    var values: [String] = []
    var decoder = RecordDecoder()
    var at = 0
    while at < bytes.count {
        let batch = try RecordBatch(bytes.rawSpan, at: at)
        try batch.verifyChecksum()
        var cursor = try decoder.records(of: batch)
        while let record = try cursor.next() {
            values.append("\(record.offset):\(record.valueText ?? "null")")
        }
        at += batch.header.sizeInBytes
    }
    return values
}
