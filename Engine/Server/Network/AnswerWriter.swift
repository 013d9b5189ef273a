import NIOCore
import TallyLog

/// Sends an answer piece by piece: the next one when the one before has gone out, so that a client
/// that does not read holds a piece and no more.
///
/// Thread rule: the connection's event loop.
struct AnswerWriter {
    /// Bytes that are copied for one piece.
    static let pieceBytesMax = 256 << 10

    private var parts: [Answer.Part]
    private var index = 0
    private var offset = 0
    private var length: Int32?

    init(_ answer: Answer) {
        // Longer ones than a length can say are not made: fetches have their limits.
        length = Int32(clamping: answer.byteCount)
        parts = answer.parts
    }

    /// The next piece; nil at the end.
    mutating func next(_ allocator: ByteBufferAllocator) -> ByteBuffer? {
        guard length != nil || index < parts.count else { return nil }
        let left = parts[index...].reduce(-offset) { $0 + $1.byteCount }
        var piece = allocator.buffer(capacity: min(left + 4, Self.pieceBytesMax))
        if let length { piece.writeInteger(length) }
        length = nil
        while index < parts.count, piece.readableBytes < Self.pieceBytesMax {
            let room = Self.pieceBytesMax - piece.readableBytes
            let end = min(offset + room, parts[index].byteCount)
            switch parts[index] {
            case .bytes(let bytes): piece.writeBytes(bytes[offset..<end])
            case .slice(let slice):
                let start = slice.content.range.lowerBound
                let bytes = slice.content.bytes(start + offset..<start + end)
                piece.writeBytes(bytes)
            }
            offset = end
            guard offset == parts[index].byteCount else { continue }
            index += 1
            offset = 0
        }
        return piece
    }
}
