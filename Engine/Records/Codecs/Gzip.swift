#if Gzip
    import CZlib

    // A z_stream stays where it was made: zlib's own state points back at it.

    /// Packs bytes into one gzip member (RFC 1952) at zlib's default level, as Kafka's producers
    /// do. The state is kept from member to member.
    @safe
    struct GzipCompressor: ~Copyable, @unchecked Sendable {
        /// zlib's state; nil until the first member.
        private var stream: UnsafeMutablePointer<z_stream>?

        init() { unsafe stream = nil }

        deinit {
            guard let stream = unsafe stream else { return }
            unsafe deflateEnd(stream)
            unsafe stream.deallocate()
        }

        /// Packs `source` into one member that begins at `start` in `buffer`, which may lose all
        /// it held when it grows. Returns the member's size in bytes.
        @unsafe
        mutating func compress(
            _ source: UnsafeRawBufferPointer, into buffer: inout ByteBuffer, at start: Int
        ) -> Int {
            let stream = unsafe prepareStream()
            let bound = Int(unsafe deflateBound(stream, uLong(source.count)))
            buffer.makeRoom(for: bound, at: start)
            unsafe stream.pointee.next_in = source.bindMemory(to: UInt8.self).baseAddress
            unsafe stream.pointee.avail_in = UInt32(source.count)
            unsafe stream.pointee.next_out =
                (buffer.bytes.baseAddress! + start).assumingMemoryBound(to: UInt8.self)
            unsafe stream.pointee.avail_out = UInt32(bound)
            // With room for the worst case there is nothing that could go wrong.
            let code = unsafe deflate(stream, Z_FINISH)
            guard code == Z_STREAM_END else { fatalError("zlib could not compress: \(code)") }
            return bound - Int(unsafe stream.pointee.avail_out)
        }

        /// The state, ready for a new member.
        @unsafe
        private mutating func prepareStream() -> UnsafeMutablePointer<z_stream> {
            if let stream = unsafe stream {
                unsafe deflateReset(stream)
                return unsafe stream
            }
            let created = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            unsafe created.initialize(to: z_stream())
            let code = unsafe deflateInit2_(
                created, Z_DEFAULT_COMPRESSION, Z_DEFLATED, Gzip.windowBits, 8,
                Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
            guard code == Z_OK else { fatalError("zlib could not begin to compress: \(code)") }
            unsafe stream = created
            return unsafe created
        }
    }

    /// Unpacks gzip members with a state that is kept from member to member.
    @safe
    struct GzipDecompressor: ~Copyable, @unchecked Sendable {
        /// zlib's state; nil until the first member.
        private var stream: UnsafeMutablePointer<z_stream>?

        /// How much room there is for each step, beyond the limit too.
        private static let slack = 16 << 10

        init() { unsafe stream = nil }

        deinit {
            guard let stream = unsafe stream else { return }
            unsafe inflateEnd(stream)
            unsafe stream.deallocate()
        }

        /// Unpacks the members that fill `source` from `start` into the beginning of `buffer`,
        /// which grows with what is really unpacked, and returns the number of bytes.
        ///
        /// Members may follow one another (RFC 1952, 2.2), and Java's reader takes them all.
        ///
        /// - Throws: `malformedCompressedData`, `trailingBytes` where what follows a member is
        ///   none, or `decompressedTooLarge` as soon as more than `bytesMax` have come out.
        mutating func decompress(
            _ source: RawSpan, from start: Int, into buffer: inout ByteBuffer, bytesMax: Int
        ) throws(RecordError) -> Int {
            let members = source.part(at: start, count: source.byteCount - start)
            unsafe prepareStream()
            // Without overflow even for a limit of Int.max.
            let capacityMax = min(bytesMax, .max - Self.slack) + Self.slack
            buffer.grow(to: min(capacityMax, members.byteCount * 4 + Self.slack), keeping: 0)
            var consumed = 0
            var produced = 0
            while true {
                buffer.makeRoom(for: Self.slack, behind: produced, capacityMax: capacityMax)
                let code = unsafe step(members, &consumed, &buffer, &produced)
                let position = start + consumed
                guard produced <= bytesMax else {
                    throw RecordError(.decompressedTooLarge(limit: bytesMax), position: position)
                }
                // Z_BUF_ERROR, since there is room, says that the member goes on and the bytes
                // do not.
                if code == Z_OK { continue }
                guard code == Z_STREAM_END else {
                    throw RecordError(.malformedCompressedData, position: position)
                }
                if consumed == members.byteCount { return produced }
                guard Gzip.isMember(members, at: consumed) else {
                    throw RecordError(
                        .trailingBytes(members.byteCount - consumed), position: position)
                }
                unsafe inflateReset(stream)
            }
        }

        /// Unpacks as much as there is room for, and moves both positions.
        @unsafe
        private func step(
            _ members: RawSpan, _ consumed: inout Int, _ buffer: inout ByteBuffer,
            _ produced: inout Int
        ) -> Int32 {
            guard let stream = unsafe stream else { return Z_STREAM_ERROR }
            let code = unsafe members.withUnsafeBytes { bytes in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[consumed...])
                let room = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: buffer.bytes[produced...])
                unsafe stream.pointee.next_in = rest.bindMemory(to: UInt8.self).baseAddress
                unsafe stream.pointee.avail_in = UInt32(rest.count)
                unsafe stream.pointee.next_out = room.bindMemory(to: UInt8.self).baseAddress
                unsafe stream.pointee.avail_out = UInt32(clamping: room.count)
                return unsafe inflate(stream, Z_NO_FLUSH)
            }
            consumed = members.byteCount - Int(unsafe stream.pointee.avail_in)
            let left = Int(unsafe stream.pointee.avail_out)
            produced += min(buffer.capacity - produced, Int(UInt32.max)) - left
            guard code != Z_MEM_ERROR else { fatalError("zlib could not allocate its window") }
            return code
        }

        /// Makes the state ready for a new member.
        @unsafe
        private mutating func prepareStream() {
            if let stream = unsafe stream {
                unsafe inflateReset(stream)
                return
            }
            let created = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            unsafe created.initialize(to: z_stream())
            let code = unsafe inflateInit2_(
                created, Gzip.windowBits, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
            guard code == Z_OK else { fatalError("zlib could not begin to unpack: \(code)") }
            unsafe stream = created
        }
    }

    private enum Gzip {
        /// A window of 32 KiB, and a gzip header and no other around it.
        static let windowBits: Int32 = 15 + 16

        /// Whether what begins at `position` says that it is a gzip member.
        static func isMember(_ bytes: RawSpan, at position: Int) -> Bool {
            bytes.byteCount - position >= 2
                && bytes.bigEndian(at: position, as: UInt16.self) == 0x1f8b
        }
    }
#endif
