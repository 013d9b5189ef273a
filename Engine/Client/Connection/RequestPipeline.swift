import DequeModule
import NIOCore

/// One connection's requests that wait for their answers, which come in the order of the requests.
///
/// Thread rule: the connection's event loop.
final class RequestPipeline: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// Told once: the bytes of the answer, or why there is none.
    typealias Completion = @Sendable (Result<[UInt8], any Error>) -> Void

    private struct Waiting {
        var correlationID: Int32
        /// Nil where nobody waits for the answer any more.
        var completion: Completion?
        var expiry: Scheduled<Void>
    }

    private let address: BrokerAddress
    private var assembler: FrameAssembler
    private var waiting: Deque<Waiting> = []
    private var context: ChannelHandlerContext?
    /// Why the connection has ended, or is about to.
    private var end: ClientError?
    private let hasEnded: Flag

    init(address: BrokerAddress, answerBytesMax: Int, hasEnded: Flag) {
        self.address = address
        self.hasEnded = hasEnded
        assembler = FrameAssembler(byteCountMax: answerBytesMax)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    // MARK: Requests

    /// What is sent.
    struct Outgoing: Sendable {
        /// The frame without its length.
        var frame: [UInt8]
        var correlationID: Int32
        /// What it is, for errors.
        var request: String
        var timeoutMilliseconds: Int64
    }

    /// Sends a request behind those before it.
    func send(_ outgoing: Outgoing, _ completion: @escaping Completion) {
        if let end { return completion(.failure(end)) }
        guard let context else {
            return completion(.failure(ClientError.closed(address, reason: "it is closed")))
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let expiry = context.eventLoop.scheduleTask(
            in: .milliseconds(max(outgoing.timeoutMilliseconds, 1))
        ) { [address] in
            bound.value.finish(
                .timedOut(
                    address, request: outgoing.request,
                    milliseconds: outgoing.timeoutMilliseconds))
        }
        waiting.append(
            Waiting(
                correlationID: outgoing.correlationID, completion: completion, expiry: expiry))
        write(outgoing.frame, context)
    }

    /// Sends a request that is not answered.
    func post(_ frame: [UInt8]) {
        if let context, end == nil { write(frame, context) }
    }

    private func write(_ frame: [UInt8], _ context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: 4 + frame.count)
        buffer.writeInteger(Int32(frame.count))
        buffer.writeBytes(frame)
        // Where it cannot be written the connection ends, which tells everybody.
        context.writeAndFlush(NIOAny(buffer), promise: nil)
    }

    /// Nobody waits for an answer any more. It is read when it comes, and dropped.
    func abandon(_ correlationID: Int32) {
        guard let index = waiting.firstIndex(where: { $0.correlationID == correlationID })
        else { return }
        let completion = waiting[index].completion
        waiting[index].completion = nil
        completion?(.failure(CancellationError()))
    }

    // MARK: Answers

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard end == nil else { return }
        assembler.receive(unwrapInboundIn(data))
        do throws(FrameAssembler.Fault) {
            while end == nil, let frame = try assembler.next() { take(frame) }
        } catch {
            switch error {
            case .tooLarge(let byteCount):
                finish(
                    .answerTooLarge(address, byteCount: byteCount, limit: assembler.byteCountMax))
            case .tooSmall(let byteCount):
                finish(.malformedAnswer(address, reason: "an answer of \(byteCount) bytes"))
            }
        }
    }

    private func take(_ frame: [UInt8]) {
        guard let first = waiting.first else {
            return finish(.malformedAnswer(address, reason: "an answer that nobody asked for"))
        }
        let correlationID = frame.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard correlationID == UInt32(bitPattern: first.correlationID) else {
            let reason =
                "an answer to request \(Int32(bitPattern: correlationID)), "
                + "where that to \(first.correlationID) is next"
            return finish(.malformedAnswer(address, reason: reason))
        }
        waiting.removeFirst()
        first.expiry.cancel()
        first.completion?(.success(frame))
    }

    // MARK: Ending

    /// Ends the connection; everybody who waits is told why.
    func finish(_ error: ClientError) {
        guard end == nil else { return }
        end = error
        hasEnded.set()
        let told = waiting
        waiting = []
        for request in told {
            request.expiry.cancel()
            request.completion?(.failure(error))
        }
        context?.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.closed(address, reason: "the broker has closed it"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(.closed(address, reason: describe(error)))
    }
}
