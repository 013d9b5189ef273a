import NIOCore
import NIOPosix
import TallyLog

/// Sends an answer piece by piece: the next one when the one before has gone out, so that a client
/// that does not read holds a piece and no more.
///
/// A long run of batches is sent by the system from its file (`sendfile`), as long as there are
/// descriptors for it; others are copied. Thread rule: the connection's event loop.
struct AnswerWriter {
    /// Bytes that are copied for one piece.
    static let pieceBytesMax = 256 << 10

    /// What is handed to the channel at once.
    enum Piece {
        case bytes(ByteBuffer)
        /// The file is to be closed, and the allowance given back, when it is sent.
        case file(FileRegion, NIOFileHandle)

        var byteCount: Int {
            switch self {
            case .bytes(let bytes): bytes.readableBytes
            case .file(let region, _): region.readableBytes
            }
        }
    }

    private let allowance: FileAllowance
    private var parts: [Answer.Part]
    private var index = 0
    private var offset = 0
    private var length: Int32?

    init(_ answer: Answer, files allowance: FileAllowance) {
        self.allowance = allowance
        length = Int32(answer.byteCount)
        parts = answer.parts
    }

    /// The next piece; nil at the end.
    mutating func next(_ allocator: ByteBufferAllocator) -> Piece? {
        if length == nil, let file = nextFile() { return file }
        guard length != nil || index < parts.count else { return nil }
        let left = parts[index...].reduce(-offset) { $0 + $1.byteCount }
        var piece = allocator.buffer(capacity: min(left + 4, Self.pieceBytesMax))
        if let length { piece.writeInteger(length) }
        length = nil
        while index < parts.count, piece.readableBytes < Self.pieceBytesMax {
            // One that is to be sent from its file begins a piece of its own.
            if offset == 0, isForFile, piece.readableBytes > 0 { break }
            let room = Self.pieceBytesMax - piece.readableBytes
            let end = min(offset + room, parts[index].byteCount)
            switch parts[index] {
            case .bytes(let bytes): piece.writeBytes(bytes[offset..<end])
            case .slice(let slice):
                let start = slice.content.range.lowerBound
                piece.writeBytes(slice.content.bytes(start + offset..<start + end))
            }
            offset = end
            guard offset == parts[index].byteCount else { continue }
            index += 1
            offset = 0
        }
        return .bytes(piece)
    }

    private var isForFile: Bool {
        guard index < parts.count, case .slice(let slice) = parts[index] else { return false }
        return slice.byteCount >= FileAllowance.byteCountMin
    }

    /// The next part as a region of its file, where it is worth it and there is one to be had.
    private mutating func nextFile() -> Piece? {
        guard offset == 0, isForFile, case .slice(let slice) = parts[index], allowance.take()
        else { return nil }
        guard let descriptor = slice.duplicateDescriptor() else {
            allowance.giveBack()
            return nil
        }
        let range = slice.content.range
        index += 1
        let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: descriptor)
        let region = FileRegion(
            fileHandle: handle, readerIndex: range.lowerBound, endIndex: range.upperBound)
        return .file(region, handle)
    }
}
