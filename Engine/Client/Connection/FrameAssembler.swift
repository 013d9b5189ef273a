import NIOCore

/// Makes answers of bytes: each is four bytes of length and what they count.
///
/// Nothing is reserved because a length says so. A value, used by one thread at a time.
struct FrameAssembler {
    /// Why no more answers can be made of what comes.
    enum Fault: Error, Hashable {
        case tooLarge(byteCount: Int)
        case tooSmall(byteCount: Int)
    }

    /// The largest answer that is taken.
    let byteCountMax: Int
    /// What has come and is of no answer yet.
    private var received = ByteBuffer()
    /// The answer that is coming, as far as it is there.
    private var frame: [UInt8] = []
    /// Its length, where that is known.
    private var wanted: Int?

    /// Room for an answer at once; larger ones grow while they come.
    private static let capacityMax = 2 << 20
    /// An answer has a correlation id at least.
    private static let byteCountMin = 4

    init(byteCountMax: Int) { self.byteCountMax = byteCountMax }

    /// Takes bytes as they came.
    mutating func receive(_ bytes: ByteBuffer) {
        var bytes = bytes
        if received.readableBytes == 0 {
            received = bytes
        } else {
            received.writeBuffer(&bytes)
        }
    }

    /// The next whole answer; nil until more has come.
    mutating func next() throws(Fault) -> [UInt8]? {
        let byteCount: Int
        if let wanted {
            byteCount = wanted
        } else {
            guard let length = received.readInteger(as: Int32.self) else { return nil }
            byteCount = Int(length)
            guard byteCount >= Self.byteCountMin else { throw .tooSmall(byteCount: byteCount) }
            guard byteCount <= byteCountMax else { throw .tooLarge(byteCount: byteCount) }
            wanted = byteCount
            frame.reserveCapacity(min(byteCount, Self.capacityMax))
        }
        let part = min(byteCount - frame.count, received.readableBytes)
        if part > 0, let bytes = received.readSlice(length: part) {
            frame.append(contentsOf: bytes.readableBytesView)
        }
        guard frame.count == byteCount else { return nil }
        defer { (frame, wanted) = ([], nil) }
        return frame
    }
}
