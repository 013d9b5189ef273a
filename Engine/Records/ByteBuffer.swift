/// Memory that grows and is kept: the reusable buffer of a builder or a decoder.
///
/// Its bytes are meaningless until written. Used by one thread at a time.
@safe
@usableFromInline
struct ByteBuffer: ~Copyable, @unchecked Sendable {
    /// The memory; nothing may be kept of it across a call that grows the buffer.
    @usableFromInline var bytes: UnsafeMutableRawBufferPointer

    /// An empty buffer, which holds no memory.
    @usableFromInline
    init() { unsafe bytes = UnsafeMutableRawBufferPointer(start: nil, count: 0) }

    @inlinable
    deinit { unsafe bytes.deallocate() }

    /// How many bytes fit without growing.
    @inlinable
    var capacity: Int { unsafe bytes.count }

    /// The first `count` bytes, which must have been written.
    @inlinable
    @_lifetime(borrow self)
    func prefix(_ count: Int) -> RawSpan {
        let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Makes room for at least `capacity` bytes; the first `count` bytes stay.
    @usableFromInline @inline(never)
    mutating func grow(to capacity: Int, keeping count: Int) {
        precondition(count <= self.capacity)
        guard capacity > self.capacity else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: capacity, alignment: 16)
        unsafe larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        unsafe bytes.deallocate()
        unsafe bytes = larger
    }
}
