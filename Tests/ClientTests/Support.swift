import NIOCore
import NIOPosix
import Synchronization
import Tally
import TallyClient
import TallyRecords
import TallyServed
import TallyTestSupport
import TallyWire

extension ServedEngine {
    /// Where clients connect.
    var broker: BrokerAddress { BrokerAddress(host: "127.0.0.1", port: port) }

    func cluster(
        _ change: (inout ClientConfiguration) -> Void = { _ in }
    ) -> ClusterClient {
        var configuration = ClientConfiguration()
        change(&configuration)
        return ClusterClient(bootstrap: [broker], configuration: configuration)
    }
}

/// A broker that does what a test says, and not always what a broker should do.
///
/// Thread rule: used by one test.
final class ScriptedBroker: Sendable {
    /// What is done about a request.
    enum Action: Sendable {
        /// Sends a frame behind its length.
        case answer([UInt8])
        /// Sends bytes as they are.
        case send([UInt8])
        /// Sends bytes as they are, and closes.
        case sendAndClose([UInt8])
        case nothing
        case close
    }

    /// A request: its start, and the number of its connection.
    struct Received: Sendable {
        var start: RequestFrameStart
        var connection: Int
    }

    let address: BrokerAddress
    private let listener: any Channel

    private init(_ listener: any Channel) {
        self.listener = listener
        address = BrokerAddress(host: "127.0.0.1", port: listener.localAddress?.port ?? 0)
    }

    deinit { listener.close(promise: nil) }

    static func start(
        _ script: @escaping @Sendable (Received) throws -> Action
    ) async throws -> ScriptedBroker {
        let count = Mutex(0)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                let number = count.withLock { count in
                    defer { count += 1 }
                    return count
                }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Player(number, script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ScriptedBroker(listener)
    }

    private final class Player: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var received = ByteBuffer()
        private let number: Int
        private let script: @Sendable (Received) throws -> Action

        init(_ number: Int, _ script: @escaping @Sendable (Received) throws -> Action) {
            self.number = number
            self.script = script
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            received.writeBuffer(&bytes)
            while let length = received.getInteger(at: received.readerIndex, as: Int32.self),
                received.readableBytes >= 4 + Int(length)
            {
                received.moveReaderIndex(forwardBy: 4)
                let frame = received.readBytes(length: Int(length)) ?? []
                guard let start = try? RequestFrameStart(decoding: frame),
                    let action = try? script(Received(start: start, connection: number))
                else { return context.close(promise: nil) }
                act(action, context)
            }
        }

        private func act(_ action: Action, _ context: ChannelHandlerContext) {
            func send(_ bytes: [UInt8]) {
                context.writeAndFlush(NIOAny(ByteBuffer(bytes: bytes)), promise: nil)
            }
            switch action {
            case .answer(let frame): send(Self.length(frame.count) + frame)
            case .send(let bytes): send(bytes)
            case .sendAndClose(let bytes):
                send(bytes)
                context.close(promise: nil)
            case .nothing: break
            case .close: context.close(promise: nil)
            }
        }

        static func length(_ count: Int) -> [UInt8] {
            stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: count >> $0) }
        }
    }

    // MARK: Answers

    /// A frame with an answer.
    static func frame(
        _ body: some WireResponse, to start: RequestFrameStart, version: Int16? = nil
    ) throws -> [UInt8] {
        try body.frame(
            ResponseHeader(correlationID: start.correlationID),
            version: version ?? start.apiVersion)
    }

    /// What a broker knows that knows these requests in all versions that this code knows.
    static func versions(
        _ apis: [(APIKey, ClosedRange<Int16>)], error: ErrorCode = .none
    ) -> ApiVersionsResponse {
        var response = ApiVersionsResponse()
        response.errorCode = error
        response.apiKeys = apis.map { api, range in
            var supported = ApiVersionsResponse.SupportedAPI()
            (supported.apiKey, supported.minVersion) = (api, range.lowerBound)
            supported.maxVersion = range.upperBound
            return supported
        }
        return response
    }

    /// A broker that greets as it should, and answers anything else by a script.
    static func greeting(
        _ script: @escaping @Sendable (Received) throws -> Action
    ) async throws -> ScriptedBroker {
        try await start { received in
            guard received.start.api == .apiVersions else { return try script(received) }
            let known: [(APIKey, ClosedRange<Int16>)] = [
                (.apiVersions, 0...4), (.metadata, 0...13), (.fetch, 4...17),
                (.listOffsets, 1...10), (.findCoordinator, 0...6),
            ]
            return .answer(try frame(versions(known), to: received.start))
        }
    }
}

/// The error that something throws.
func clientError(
    _ body: () async throws -> some Any
) async throws -> ClientError? {
    do {
        _ = try await body()
        return nil
    } catch let error as ClientError {
        return error
    }
}

/// A batch of records of text.
func batch(
    _ values: [String], producer: BatchProducer = .none, isTransactional: Bool = false,
    codec: Codec = .none
) throws -> [UInt8] {
    var builder = try RecordBatchBuilder(codec: codec)
    for value in values {
        let bytes = Array(value.utf8)
        try builder.append(key: nil, value: bytes.rawSpan, timestamp: .now)
    }
    var bytes: [UInt8] = []
    bytes.append(try builder.finish(producer: producer, isTransactional: isTransactional))
    return bytes
}

extension Engine {
    /// Appends batches, each as it is, with a sync behind the last.
    func append(_ batches: [[UInt8]], to topic: String, partition: Int32 = 0) throws {
        let log = try self.partition(partition, of: topic).log
        for var batch in batches {
            _ = try batch.withMutableRawSpan { bytes in
                try log.append(&bytes, from: .outside, now: .now)
            }
        }
        try log.flush()
    }

    /// The bytes of a partition's log from an offset on.
    func bytes(of topic: String, partition: Int32 = 0, from offset: Offset = .zero) throws
        -> [UInt8]
    {
        let log = try self.partition(partition, of: topic).log
        var bytes: [UInt8] = []
        var next = offset
        while let slice = try log.read(from: next, bytesMax: 1 << 20) {
            bytes.append(slice.content.all)
            next = slice.nextOffset
        }
        return bytes
    }
}
