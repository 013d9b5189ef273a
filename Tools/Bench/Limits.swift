import CLZ4
import TallyFiles
import TallyRecords

/// What the machine allows, measured with nothing of the log in between.
struct Limits {
    let files = PosixFileSystem()
    let directory: String

    /// Bytes a second of `pwrite` alone: the same chunks into a new file.
    func write(_ chunks: [[UInt8]]) throws -> Double {
        let path = directory + "/limit.bin"
        let file = try files.open(path, .create)
        defer { try? files.remove(path) }
        var position: Int64 = 0
        let time = try seconds {
            for chunk in chunks {
                try file.write(all: chunk, at: position)
                position += Int64(chunk.count)
            }
        }
        return Double(position) / time
    }

    /// Appends a second of `pwrite` and `fdatasync`, one after the other.
    func durableWrites(_ chunk: [UInt8], count: Int) throws -> Double {
        let path = directory + "/limit.bin"
        let file = try files.open(path, .create)
        defer { try? files.remove(path) }
        try files.syncDirectory(directory)
        let time = try seconds {
            for index in 0..<count {
                try file.write(all: chunk, at: Int64(index * chunk.count))
                try file.sync()
            }
        }
        return Double(count) / time
    }

    /// Bytes a second of CRC-32C alone.
    func checksum(_ chunks: [[UInt8]]) -> Double {
        var sum: UInt32 = 0
        var byteCount = 0
        let time = seconds {
            for chunk in chunks {
                sum ^= Checksum.crc32c(chunk.span.bytes)
                byteCount += chunk.count
            }
        }
        keep(sum)
        return Double(byteCount) / time
    }

    /// Bytes a second of reading a file's pages from the cache, 256 KiB at a time, and summing each
    /// chunk in them: what any recovery has to do.
    func readAndChecksum(_ chunks: [[UInt8]]) throws -> Double {
        try withFile(of: chunks) { file, byteCount in
            var window = [UInt8](repeating: 0, count: 256 << 10)
            var sum: UInt32 = 0
            var position = 0
            let time = try seconds {
                while position < byteCount {
                    let count = try file.read(
                        byteCount: window.count, into: &window, at: Int64(position))
                    var at = 0
                    while at < count {
                        let part = window.rawSpan.extracting(at..<min(at + 16 << 10, count))
                        sum ^= Checksum.crc32c(part)
                        at += part.byteCount
                    }
                    position += count
                }
            }
            keep(sum)
            return Double(byteCount) / time
        }
    }

    /// Batches a second that are read at random places, known beforehand, and summed.
    func randomReads(_ chunks: [[UInt8]], count: Int) throws -> Double {
        var starts: [Int] = []
        var end = 0
        for chunk in chunks {
            starts.append(end)
            end += chunk.count
        }
        return try withFile(of: chunks) { file, _ in
            var memory = [UInt8](repeating: 0, count: chunks.map(\.count).max() ?? 1)
            var random = SplitMix(state: 7)
            var sum: UInt32 = 0
            let time = try seconds {
                for _ in 0..<count {
                    let chosen = Int(random.next() % UInt64(chunks.count))
                    let size = try file.read(
                        byteCount: chunks[chosen].count, into: &memory, at: Int64(starts[chosen]))
                    sum ^= Checksum.crc32c(memory.rawSpan.extracting(first: size))
                }
            }
            keep(sum)
            return Double(count) / time
        }
    }

    private func withFile<Value>(
        of chunks: [[UInt8]], _ body: (any File, Int) throws -> Value
    ) throws -> Value {
        let path = directory + "/limit.bin"
        let file = try files.open(path, .create)
        defer { try? files.remove(path) }
        var position = 0
        for chunk in chunks {
            try file.write(all: chunk, at: Int64(position))
            position += chunk.count
        }
        return try body(file, position)
    }

    /// Bytes a second that are copied from memory to memory.
    func copy(_ chunks: [[UInt8]]) -> Double {
        var target = [UInt8](repeating: 0, count: chunks.map(\.count).max() ?? 1)
        var byteCount = 0
        let time = seconds {
            for chunk in chunks {
                target.withUnsafeMutableBytes { bytes in
                    chunk.withUnsafeBytes { bytes.copyMemory(from: $0) }
                }
                byteCount += chunk.count
            }
        }
        keep(UInt32(target[0]))
        return Double(byteCount) / time
    }

    /// Uncompressed bytes a second of liblz4 compressing alone, one frame a chunk, as the log has
    /// them: independent blocks of 64 KiB without checksums.
    func compress(_ chunks: [[UInt8]]) -> Double {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.blockSizeID = LZ4F_max64KB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        let capacity = LZ4F_compressFrameBound(chunks.map(\.count).max() ?? 1, &preferences)
        var target = [UInt8](repeating: 0, count: capacity)
        var byteCount = 0
        let time = seconds {
            for chunk in chunks {
                _ = LZ4F_compressFrame(&target, capacity, chunk, chunk.count, &preferences)
                byteCount += chunk.count
            }
        }
        keep(UInt32(target[0]))
        return Double(byteCount) / time
    }

    /// Uncompressed bytes a second of liblz4 decompressing alone.
    func decompress(_ plain: [[UInt8]]) -> Double {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.blockSizeID = LZ4F_max64KB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        // With less room than a block liblz4 unpacks into memory of its own and copies.
        let sizeMax = max(plain.map(\.count).max() ?? 1, 64 << 10)
        let frames = plain.map { chunk in
            var frame = [UInt8](repeating: 0, count: LZ4F_compressFrameBound(sizeMax, &preferences))
            let size = LZ4F_compressFrame(&frame, frame.count, chunk, chunk.count, &preferences)
            return Array(frame.prefix(size))
        }
        var context: OpaquePointer?
        LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
        defer { LZ4F_freeDecompressionContext(context) }
        var target = [UInt8](repeating: 0, count: sizeMax)
        var byteCount = 0
        let time = seconds {
            for frame in frames {
                var size = target.count
                var consumed = frame.count
                LZ4F_decompress(context, &target, &size, frame, &consumed, nil)
                byteCount += size
            }
        }
        keep(UInt32(target[0]))
        return Double(byteCount) / time
    }
}

/// Something the optimizer cannot see through, so that what is measured is done.
@inline(never)
func keep(_ value: UInt32) {
    withExtendedLifetime(value) {}
}
