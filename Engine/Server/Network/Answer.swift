import TallyLog

/// What goes back for a request: bytes, and batches that are sent from where they lie.
struct Answer: Sendable {
    enum Part: Sendable {
        case bytes([UInt8])
        /// Holds its file for as long as it is not sent.
        case slice(LogSlice)

        var byteCount: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .slice(let slice): slice.byteCount
            }
        }
    }

    /// A length has 32 bits, and nobody asks for so much in good faith.
    static let byteCountMax = 1 << 30

    private(set) var parts: [Part]

    /// One run of bytes, without the length that a frame begins with.
    init(_ bytes: [UInt8]) { parts = [.bytes(bytes)] }

    /// - Parameters:
    ///   - gaps: positions in the bytes, rising, one for each of the slices.
    init(_ bytes: [UInt8], gaps: [Int], filledBy slices: [LogSlice]) {
        parts = []
        var start = 0
        for (gap, slice) in zip(gaps, slices) {
            if gap > start { parts.append(.bytes(Array(bytes[start..<gap]))) }
            parts.append(.slice(slice))
            start = gap
        }
        if start < bytes.count { parts.append(.bytes(Array(bytes[start...]))) }
    }

    /// Bytes of the frame, behind its length.
    var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }
}
