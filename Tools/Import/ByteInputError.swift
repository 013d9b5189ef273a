import Glibc

/// Why an input cannot be read to its end.
package enum ByteInputError: Error, Hashable, Sendable {
    /// The system refused to open the file.
    case cannotOpen(name: String, errorNumber: Int32)
    /// The system refused to read on.
    case cannotRead(name: String, errorNumber: Int32)
    /// The name ends in `.lz4`, and the content is something else.
    case notAFrame(name: String, isLegacyFormat: Bool)
    /// The input ends inside an LZ4 frame: part of the file is missing.
    case truncatedFrame(name: String)
    /// An LZ4 frame is damaged, or something else follows the last one; `problem` is liblz4's word.
    case damagedFrame(name: String, problem: String)
    /// There is no memory for the decoder.
    case outOfMemory
}

extension ByteInputError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotOpen(let name, let errorNumber):
            "cannot open \(name): \(Self.message(errorNumber))"
        case .cannotRead(let name, let errorNumber):
            "cannot read \(name): \(Self.message(errorNumber))"
        case .notAFrame(let name, isLegacyFormat: true):
            "\(name) is in LZ4's legacy format; compress it again with a current lz4"
        case .notAFrame(let name, isLegacyFormat: false):
            "\(name) is named .lz4 and is not an LZ4 frame"
        case .truncatedFrame(let name):
            "\(name) is truncated: it ends inside an LZ4 frame"
        case .damagedFrame(let name, let problem):
            "\(name) is damaged: \(problem)"
        case .outOfMemory:
            "out of memory"
        }
    }

    private static func message(_ errorNumber: Int32) -> String {
        String(cString: strerror(errorNumber))
    }
}
