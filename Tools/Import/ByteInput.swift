import Glibc

/// A file or the standard input as a stream of bytes; what is compressed as LZ4 frames is
/// decompressed on the way.
///
/// Compression is told by the first bytes and not by the name, so that `tally import -` takes a
/// compressed stream as well. Memory does not grow with the input. Reading blocks; one thread at a
/// time.
package final class ByteInput: ByteSource {
    /// What errors call this input: its path, or "standard input".
    package let name: String
    /// The size of the file as it lies there, compressed or not; nil for a pipe or a terminal.
    package let fileBytes: Int64?
    /// How much of the file has been read so far; against `fileBytes` it tells the progress.
    package private(set) var fileBytesRead: Int64 = 0

    private enum Content {
        case unknown
        case plain
        case frames(LZ4FrameDecoder)
    }

    private let descriptor: CInt
    private let closesDescriptor: Bool
    private var content = Content.unknown
    /// `pending[pendingStart..<pendingEnd]` was read from the file and not yet handed on.
    private var pending = [UInt8](repeating: 0, count: 128 << 10)
    private var pendingStart = 0
    private var pendingEnd = 0

    /// Opens the file at `path`; `-` is the standard input.
    package convenience init(path: String) throws(ByteInputError) {
        if path == "-" {
            self.init(descriptor: STDIN_FILENO, name: "standard input", closesDescriptor: false)
            return
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .cannotOpen(name: path, errorNumber: errno)
        }
        self.init(descriptor: descriptor, name: path, closesDescriptor: true)
    }

    /// Reads from an open descriptor.
    package init(descriptor: CInt, name: String, closesDescriptor: Bool) {
        self.descriptor = descriptor
        self.name = name
        self.closesDescriptor = closesDescriptor
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        fileBytes = isFile ? Int64(status.st_size) : nil
    }

    deinit {
        if closesDescriptor {
            close(descriptor)
        }
    }

    package func read(into buffer: inout [UInt8], from start: Int) throws -> Int {
        precondition(start < buffer.count, "there is no room to read into")
        if case .unknown = content {
            content = try recognise()
        }
        switch content {
        case .frames(let decoder):
            return try readFrames(decoder, into: &buffer, from: start)
        case .plain, .unknown:
            return try readPlain(into: &buffer, from: start)
        }
    }

    private func recognise() throws(ByteInputError) -> Content {
        while pendingEnd < 4, try readFile() {}
        let first = pending[..<pendingEnd]
        if LZ4FrameDecoder.startsFrame(first) {
            return .frames(try LZ4FrameDecoder(inputName: name))
        }
        if name.hasSuffix(".lz4") {
            throw .notAFrame(name: name, isLegacyFormat: LZ4FrameDecoder.startsLegacyFrame(first))
        }
        return .plain
    }

    private func readPlain(
        into buffer: inout [UInt8], from start: Int
    ) throws(ByteInputError) -> Int {
        guard pendingStart < pendingEnd else {
            return try readFile(into: &buffer, from: start)
        }
        let count = min(pendingEnd - pendingStart, buffer.count - start)
        for index in 0..<count {
            buffer[start + index] = pending[pendingStart + index]
        }
        pendingStart += count
        return count
    }

    private func readFrames(
        _ decoder: LZ4FrameDecoder, into buffer: inout [UInt8], from start: Int
    ) throws(ByteInputError) -> Int {
        while true {
            // Even without input: the decoder may hold bytes that did not fit the last buffer.
            let step = try decoder.decompress(
                pending[pendingStart..<pendingEnd], into: &buffer, from: start)
            pendingStart += step.consumed
            if step.produced > 0 {
                return step.produced
            }
            if step.consumed == 0 {
                if try !readFile() {
                    guard !decoder.isInsideFrame else { throw .truncatedFrame(name: name) }
                    return 0
                }
            }
        }
    }

    /// Reads more of the file behind what is pending; false at its end.
    private func readFile() throws(ByteInputError) -> Bool {
        if pendingStart == pendingEnd {
            pendingStart = 0
            pendingEnd = 0
        }
        let count = try readFile(into: &pending, from: pendingEnd)
        pendingEnd += count
        return count > 0
    }

    private func readFile(
        into buffer: inout [UInt8], from start: Int
    ) throws(ByteInputError) -> Int {
        while true {
            let count = buffer.withUnsafeMutableBytes { bytes in
                Glibc.read(descriptor, bytes.baseAddress! + start, bytes.count - start)
            }
            if count >= 0 {
                fileBytesRead += Int64(count)
                return count
            }
            let errorNumber = errno
            guard errorNumber == EINTR else {
                throw .cannotRead(name: name, errorNumber: errorNumber)
            }
        }
    }
}
