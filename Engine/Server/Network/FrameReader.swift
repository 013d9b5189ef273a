import NIOCore

/// Why a connection is ended.
enum ConnectionFault: Error, CustomStringConvertible {
    case requestTooLarge(byteCount: Int, limit: Int)
    case requestTooSmall(byteCount: Int)

    var description: String {
        switch self {
        case .requestTooLarge(let byteCount, let limit):
            "a request of \(byteCount) bytes, \(limit) are allowed (socket.request.max.bytes)"
        case .requestTooSmall(let byteCount): "a request of \(byteCount) bytes"
        }
    }
}

/// Makes requests of bytes: each is four bytes of length and what they count.
///
/// It gives one for each `read` that it is asked for, and reads no further: what a client sends
/// ahead stays in the system's buffers. A large request waits for its place in the budget before
/// its bytes are read. Thread rule: the connection's event loop.
final class FrameReader: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = Frame
    typealias OutboundIn = Never

    private let byteCountMax: Int
    private let budget: MemoryBudget
    private let pool: FramePool
    /// What has come and is of no request yet, or of the one behind.
    private var received = ByteBuffer()
    /// The request that is coming, as far as it is there.
    private var frame: [UInt8] = []
    private var isWanted = false
    private var phase = Phase.between

    private enum Phase {
        case between
        case waiting(byteCount: Int, id: UInt64)
        case receiving(byteCount: Int, reserved: Int)
        case ended
    }

    /// Since when a request has been coming that is not there; nil between requests. It does not
    /// count that it had to wait for its place.
    private(set) var receivingSince: NIODeadline?
    /// The client sends nothing more; what is there is handled.
    private(set) var isInputClosed = false

    /// Whether a request has its place in the budget, others wait for theirs, and it comes so
    /// slowly that it would keep them waiting.
    func isHoldingUp(after time: TimeAmount) -> Bool {
        guard case .receiving(_, let reserved) = phase, reserved > 0, budget.isWanted else {
            return false
        }
        let seconds = Int(time.nanoseconds / 1_000_000_000)
        return frame.count < seconds * Self.bytesPerSecondMin
    }

    /// What a request has to bring while others wait for its place.
    private static let bytesPerSecondMin = 1 << 20

    /// Whether a request waits for its place in the budget.
    var isWaitingForBudget: Bool { if case .waiting = phase { true } else { false } }

    init(byteCountMax: Int, budget: MemoryBudget, pool: FramePool) {
        self.byteCountMax = byteCountMax
        self.budget = budget
        self.pool = pool
    }

    func read(context: ChannelHandlerContext) {
        isWanted = true
        advance(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if received.readableBytes == 0 {
            received = bytes
        } else {
            received.writeBuffer(&bytes)
        }
        if receivingSince == nil { receivingSince = .now() }
        gather()
    }

    /// Moves what is of the request that is coming to it.
    private func gather() {
        guard case .receiving(let byteCount, _) = phase else { return }
        let part = min(byteCount - frame.count, received.readableBytes)
        guard part > 0, let bytes = received.readSlice(length: part) else { return }
        frame.append(contentsOf: bytes.readableBytesView)
        if received.readableBytes == 0 { received = ByteBuffer() }
    }

    /// Begins to gather a request.
    private func receive(_ byteCount: Int, reserved: Int) {
        phase = .receiving(byteCount: byteCount, reserved: reserved)
        frame = pool.room(for: byteCount)
        gather()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        advance(context)
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func end() {
        switch phase {
        case .between, .ended: break
        case .waiting(let byteCount, let id):
            if !budget.forget(id) { budget.giveBack(byteCount) }
        case .receiving(_, let reserved): budget.giveBack(reserved)
        }
        phase = .ended
        received = ByteBuffer()
        frame = []
    }

    /// Goes on as far as the bytes go, and reads more where more is wanted.
    private func advance(_ context: ChannelHandlerContext) {
        guard isWanted else { return }
        if case .between = phase, !begin(context) { return }
        if case .receiving(let byteCount, let reserved) = phase, frame.count == byteCount {
            phase = .between
            receivingSince = received.readableBytes > 0 ? .now() : nil
            isWanted = false
            return context.fireChannelRead(
                wrapInboundOut(Frame(taking: &frame, reserved: reserved)))
        }
        switch phase {
        case .between, .receiving:
            // The rest of it does not come.
            if isInputClosed { return context.close(promise: nil) }
            context.read()
        case .waiting, .ended: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            isInputClosed = true
            context.fireUserInboundEventTriggered(event)
            advance(context)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// Looks at the length of the next request; false where it cannot come now.
    private func begin(_ context: ChannelHandlerContext) -> Bool {
        guard let length = received.readInteger(as: Int32.self) else { return true }
        let byteCount = Int(length)
        guard byteCount >= 8, byteCount <= byteCountMax else {
            end()
            let fault =
                byteCount < 8
                ? ConnectionFault.requestTooSmall(byteCount: byteCount)
                : .requestTooLarge(byteCount: byteCount, limit: byteCountMax)
            context.fireErrorCaught(fault)
            return false
        }
        guard byteCount > MemoryBudget.freeByteCount else {
            receive(byteCount, reserved: 0)
            return true
        }
        let loop = context.eventLoop
        let bound = NIOLoopBound((self, context), eventLoop: loop)
        let id = budget.take(byteCount) {
            loop.execute {
                let (reader, context) = bound.value
                reader.granted(byteCount, context)
            }
        }
        guard let id else {
            receive(byteCount, reserved: byteCount)
            return true
        }
        phase = .waiting(byteCount: byteCount, id: id)
        return false
    }

    private func granted(_ byteCount: Int, _ context: ChannelHandlerContext) {
        // A connection that has ended meanwhile has given it back.
        guard case .waiting = phase else { return }
        receivingSince = .now()
        receive(byteCount, reserved: byteCount)
        advance(context)
    }
}
