import Logging
import Metrics
import NIOCore
import Tally

/// One client: has its requests answered, one after the other, in their order.
///
/// It asks for the next request when the answer before has gone out. So a client that sends ahead
/// is not read ahead of, one that does not read its answers holds one of them, and each connection
/// takes memory for one request. Thread rule: the connection's event loop; the work is done in a
/// task, on the engine's threads where it may take long.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = Frame

    private let broker: Broker
    private let reader: FrameReader
    private let budget: MemoryBudget
    private let pool: FramePool
    private let executor: NetworkExecutor
    private let files: FileAllowance
    private let register: ConnectionRegister
    private let limits: ConnectionLimits
    private var client: ClientIdentity
    private var phase = Phase.ended
    private var since = NIODeadline.now()
    /// When the request that is answered was there, and what to tell how long it took.
    private var came = NIODeadline.now()
    private var timing: Metrics.Timer?
    private var watch: RepeatedTask?
    private var isStopping = false

    private enum Phase {
        /// For a request, or for the rest of one.
        case waiting
        case working(Task<Void, Never>)
        case sending(AnswerWriter)
        case ended
    }

    init(
        broker: Broker, reader: FrameReader, budget: MemoryBudget, pool: FramePool,
        executor: NetworkExecutor, files: FileAllowance, register: ConnectionRegister,
        limits: ConnectionLimits, client: ClientIdentity
    ) {
        self.broker = broker
        self.reader = reader
        self.budget = budget
        self.pool = pool
        self.executor = executor
        self.files = files
        self.register = register
        self.limits = limits
        self.client = client
    }

    // MARK: One request after the other

    func channelActive(context: ChannelHandlerContext) {
        guard !register.isStopping else { return context.close(promise: nil) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let tick = limits.tick
        watch = context.eventLoop.scheduleRepeatedTask(initialDelay: tick, delay: tick) { _ in
            let (connection, context) = bound.value
            connection.endIfLate(context)
        }
        waitForRequest(context)
    }

    private func waitForRequest(_ context: ChannelHandlerContext) {
        // From when the request was there until its answer, if it has one, has gone out.
        timing?.recordNanoseconds((NIODeadline.now() - came).nanoseconds)
        timing = nil
        guard !isStopping else { return end(context) }
        phase = .waiting
        since = .now()
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        guard case .waiting = phase else { return budget.giveBack(frame.reserved) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        let threads: any TaskExecutor = frame.isQuick ? executor : broker.engine.workers
        let task = Task(executorPreference: threads) {
            [broker, client, budget, pool] in
            var bytes = frame.takeBytes()
            let (outcome, metrics) = await broker.answer(&bytes, from: client)
            pool.giveBack(&bytes)
            // Only now, also where the client has hung up: the request is in memory until then.
            budget.giveBack(frame.reserved)
            loop.execute {
                let (connection, context) = bound.value
                connection.timing = metrics?.time
                connection.worked(outcome, context)
            }
        }
        phase = .working(task)
        since = .now()
        came = since
    }

    private func worked(_ outcome: Broker.Outcome, _ context: ChannelHandlerContext) {
        guard case .working = phase else { return }
        switch outcome {
        case .answer(let answer):
            phase = .sending(AnswerWriter(answer, files: files))
            sendNext(context)
        case .nothing: waitForRequest(context)
        case .end(let reason):
            limits.logger.info("A connection of \(client.host) is ended: \(reason)")
            end(context)
        }
    }

    private func sendNext(_ context: ChannelHandlerContext) {
        guard case .sending(var writer) = phase else { return }
        since = .now()
        guard let piece = writer.next(context.channel.allocator) else {
            return waitForRequest(context)
        }
        phase = .sending(writer)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        ServerMetrics.bytesOut.increment(by: piece.byteCount)
        let sent: EventLoopFuture<Void>
        switch piece {
        case .bytes(let bytes): sent = context.writeAndFlush(NIOAny(IOData.byteBuffer(bytes)))
        case .file(let region, let file):
            sent = context.writeAndFlush(NIOAny(IOData.fileRegion(region)))
            sent.whenComplete { [files] _ in
                try? file.close()
                files.giveBack()
            }
        }
        sent.whenComplete { result in
            let (connection, context) = bound.value
            switch result {
            case .success: connection.sendNext(context)
            case .failure: connection.end(context)
            }
        }
    }

    // MARK: Ending

    /// Ends when the request under way is answered; what waits for something to come is answered
    /// now.
    func stop(_ context: ChannelHandlerContext) {
        isStopping = true
        switch phase {
        case .waiting: end(context)
        case .working(let task): task.cancel()
        case .sending, .ended: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ServerStopping {
            stop(context)
        } else if let event = event as? ChannelEvent, event == .inputClosed {
            // Nobody waits for what is yet to come. What was sent before is handled: a client that
            // wants no acknowledgement sends, and goes.
            if case .working(let task) = phase { task.cancel() }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    private func end(_ context: ChannelHandlerContext) {
        letGo()
        context.close(promise: nil)
    }

    private func letGo() {
        watch?.cancel()
        watch = nil
        // Whoever waits for something to come does not wait for somebody who is gone.
        if case .working(let task) = phase { task.cancel() }
        phase = .ended
    }

    func channelInactive(context: ChannelHandlerContext) {
        letGo()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is ConnectionFault {
            limits.logger.warning("A connection of \(client.host) is ended: \(error)")
            ServerMetrics.faults.increment()
        }
        end(context)
    }

    /// Ends a connection that has been silent, half way through a request, or unread for too long.
    private func endIfLate(_ context: ChannelHandlerContext) {
        var limit: (time: TimeAmount, what: String)
        var begin = since
        switch phase {
        case .waiting:
            guard !reader.isWaitingForBudget else { return }
            limit =
                reader.receivingSince == nil
                ? (limits.idle, "idle (connections.max.idle.ms)")
                : (limits.receive, "a request is not complete")
            // What was sent ahead begins to count when it is waited for.
            begin = max(reader.receivingSince ?? since, since)
            if reader.isHoldingUp(after: NIODeadline.now() - begin) {
                limit = (.zero, "a request keeps others waiting (queued.max.request.bytes)")
            }
        case .sending: limit = (limits.send, "an answer is not read")
        case .working, .ended: return
        }
        guard NIODeadline.now() - begin >= limit.time else { return }
        limits.logger.info(
            "A connection of \(client.host) is ended after \(limit.time): \(limit.what)")
        end(context)
    }
}

/// Sent to all connections when the server stops.
struct ServerStopping: Sendable {}

/// Who sends requests on a connection.
struct ClientIdentity: Sendable {
    /// The address, without the port.
    var host: String
    /// Who it is.
    var principal: Principal
}

/// How long connections may be silent, and who hears of it.
struct ConnectionLimits: Sendable {
    var idle: TimeAmount
    var receive: TimeAmount
    var send: TimeAmount
    var logger: Logger

    init(_ configuration: ServerConfiguration) {
        func time(_ milliseconds: Int64) -> TimeAmount {
            .milliseconds(min(max(milliseconds, 1), 1 << 40))
        }
        idle = time(configuration.connectionsIdleMillisecondsMax)
        receive = time(configuration.requestReceiveMilliseconds)
        send = time(configuration.responseSendMilliseconds)
        logger = configuration.logger
    }

    /// How often connections look at the clock.
    var tick: TimeAmount {
        let least = min(idle, receive, send)
        return .nanoseconds(min(max(least.nanoseconds / 4, 10_000_000), 1_000_000_000))
    }
}
