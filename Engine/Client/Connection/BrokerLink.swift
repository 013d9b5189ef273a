import NIOCore
import NIOPosix
import Synchronization
import TallyWire

/// A connection as such: bytes of requests go out, bytes of answers come in. What the broker knows
/// is not known yet.
///
/// Thread rule: any thread and task.
final class BrokerLink: Sendable {
    let address: BrokerAddress
    let configuration: ClientConfiguration
    let channel: any Channel
    let pipeline: NIOLoopBound<RequestPipeline>
    let hasEnded: Flag
    private let correlationIDs = Atomic<Int32>(0)

    private init(
        _ address: BrokerAddress, _ configuration: ClientConfiguration, _ channel: any Channel,
        _ pipeline: RequestPipeline, _ hasEnded: Flag
    ) {
        self.address = address
        self.configuration = configuration
        self.channel = channel
        self.pipeline = NIOLoopBound(pipeline, eventLoop: channel.eventLoop)
        self.hasEnded = hasEnded
    }

    deinit { channel.close(promise: nil) }

    static func connect(
        to address: BrokerAddress, _ configuration: ClientConfiguration,
        on thread: ConnectionThread?
    ) async throws -> BrokerLink {
        let hasEnded = Flag()
        let group: any EventLoopGroup = thread?.loop ?? MultiThreadedEventLoopGroup.singleton
        let bootstrap = ClientBootstrap(group: group)
            .connectTimeout(.milliseconds(configuration.connectMilliseconds))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
        do {
            return try await bootstrap.connect(host: address.host, port: address.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = RequestPipeline(
                        address: address, answerBytesMax: configuration.answerBytesMax,
                        hasEnded: hasEnded)
                    try channel.pipeline.syncOperations.addHandler(pipeline)
                    return BrokerLink(address, configuration, channel, pipeline, hasEnded)
                }
            }
        } catch {
            throw ClientError.cannotConnect(address, reason: describe(error))
        }
    }

    /// Asks what the broker knows: in the newest version, and in an older one where that is too
    /// new.
    ///
    /// A broker answers a version that it does not know with UNSUPPORTED_VERSION, in the form of
    /// version 0, and names the versions that it knows (KIP-511). Older ones name none, and some
    /// make a mess of what follows the error: version 0 is known to all.
    func negotiate() async throws -> BrokerVersions {
        var request = ApiVersionsRequest()
        request.clientSoftwareName = "tally"
        request.clientSoftwareVersion = "1"
        var version = ApiVersionsRequest.versions.upperBound
        while true {
            let frame = try await exchange(request, version, waitMilliseconds: 0)
            if version > 0, Self.isUnsupportedVersion(frame) {
                let answer = try? decode(frame, of: ApiVersionsRequest.self, 0)
                let offered = answer.flatMap { BrokerVersions($0, of: address) }
                let newest = offered?.ranges[.apiVersions]?.upperBound ?? 0
                version = max(min(newest, version - 1), 0)
                continue
            }
            let answer = try decode(frame, of: ApiVersionsRequest.self, version)
            guard answer.errorCode == .none else {
                throw ClientError.refused(
                    request: ApiVersionsRequest.name, subject: "\(address)",
                    code: answer.errorCode, message: nil)
            }
            return BrokerVersions(answer, of: address)
        }
    }

    /// Whether an answer to ApiVersions, of whichever version, begins with that error.
    private static func isUnsupportedVersion(_ frame: [UInt8]) -> Bool {
        var reader = WireReader(frame, version: 0, isFlexible: false)
        var header = ResponseHeader()
        var code = ErrorCode.none
        do throws(WireError) {
            try header.code(&reader)
            try reader.errorCode("errorCode", &code)
        } catch {
            return false
        }
        return code == .unsupportedVersion
    }

    /// Sends a request and waits for the bytes of its answer.
    func exchange<Request: WireRequest>(
        _ request: Request, _ version: Int16, waitMilliseconds: Int64
    ) async throws -> [UInt8] {
        try Task.checkCancellation()
        let (frame, id) = try encode(request, version)
        let outgoing = RequestPipeline.Outgoing(
            frame: frame, correlationID: id, request: Request.name,
            timeoutMilliseconds: configuration.requestMilliseconds + waitMilliseconds)
        let isCancelled = Flag()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                channel.eventLoop.execute { [pipeline] in
                    // Cancelled before it was sent: nothing is sent.
                    if isCancelled.isSet {
                        return continuation.resume(throwing: CancellationError())
                    }
                    pipeline.value.send(outgoing) { continuation.resume(with: $0) }
                }
            }
        } onCancel: {
            isCancelled.set()
            channel.eventLoop.execute { [pipeline] in pipeline.value.abandon(id) }
        }
    }

    /// The bytes of a request, and its number.
    private func encode<Request: WireRequest>(
        _ request: Request, _ version: Int16
    ) throws(ClientError) -> (frame: [UInt8], id: Int32) {
        let id = correlationIDs.wrappingAdd(1, ordering: .relaxed).newValue
        let header = RequestHeader(
            Request.self, version: version, correlationID: id, clientID: configuration.clientID)
        do {
            return (try RequestFrame(header: header, body: request).encoded(), id)
        } catch {
            throw ClientError.invalidRequest(request: Request.name, reason: "\(error)")
        }
    }

    /// Sends a request that is not answered.
    func post<Request: WireRequest>(_ request: Request, _ version: Int16) throws(ClientError) {
        if hasEnded.isSet { throw .closed(address, reason: "it is closed") }
        let frame = try encode(request, version).frame
        channel.eventLoop.execute { [pipeline] in pipeline.value.post(frame) }
    }

    /// Reads an answer.
    func decode<Request: WireRequest>(
        _ frame: [UInt8], of request: Request.Type, _ version: Int16
    ) throws(ClientError) -> Request.Response {
        do {
            return try ResponseFrame<Request.Response>(decoding: frame, version: version).body
        } catch {
            let reason = "\(Request.name) version \(version): \(error)"
            throw .malformedAnswer(address, reason: reason)
        }
    }

    /// Ends the connection for a reason.
    func end(because error: ClientError) {
        channel.eventLoop.execute { [pipeline] in pipeline.value.finish(error) }
    }

    func close() async {
        await withCheckedContinuation { continuation in
            channel.eventLoop.execute { [self] in
                pipeline.value.finish(.closed(address, reason: "this side has closed it"))
                channel.closeFuture.whenComplete { _ in continuation.resume() }
            }
        }
    }
}

/// A mark that is set once. Thread rule: any thread.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)

    var isSet: Bool { value.load(ordering: .acquiring) }

    func set() { value.store(true, ordering: .releasing) }
}

/// What the network says of an error, without what it is called in this program.
func describe(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
        // A name may stand for several addresses; the first that was tried tells enough.
        if let first = error.connectionErrors.first { return describe(first.error) }
        if let unknown = error.dnsAAAAError ?? error.dnsAError {
            return "the host is not known (\(unknown))"
        }
        return "the host has no address"
    case let error as IOError:
        // "connect(...): Connection refused (errno: 111)".
        let text = "\(error)"
        let start = text.firstRange(of: ": ")?.upperBound ?? text.startIndex
        return String(text[start...])
    case ChannelError.connectTimeout: return "nobody answered in time"
    default: return "\(error)"
    }
}
