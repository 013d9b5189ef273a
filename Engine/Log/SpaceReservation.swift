import TallyFiles

/// Space reserved ahead of the written end of the active segment, in growing steps.
///
/// Reserving is where "no space" surfaces, before a byte is written. Owned by the writer.
struct SpaceReservation: Sendable {
    private var reservedEnd = 0
    private var step = Self.stepMin
    private var isSupported = true

    private static let stepMin = 64 << 10
    private static let stepMax = 32 << 20

    /// Forgets the reservation: another segment is written to, or the file was cut.
    mutating func reset() {
        reservedEnd = 0
        step = Self.stepMin
    }

    /// Makes sure that `byteCount` bytes can be written at `position` of a file that may grow to
    /// `limit`. Throws "no space", having done nothing, while the gate is shut.
    mutating func cover(
        _ byteCount: Int, at position: Int, limit: Int, of file: PooledFile, gate: SpaceGate
    ) throws(FileError) {
        let end = position + byteCount
        guard end > reservedEnd else { return }
        if gate.isShut { throw .withheldSpace(file.path) }
        guard isSupported else { return }
        let wanted = max(end, min(end + step, limit))
        do {
            isSupported = try file.reserve(Int64(position)..<Int64(wanted))
            reservedEnd = wanted
            step = min(step * 2, Self.stepMax)
        } catch {
            // Not enough for a whole step: what is needed now may still fit.
            guard error.isNoSpace, wanted > end else { throw error }
            step = Self.stepMin
            isSupported = try file.reserve(Int64(position)..<Int64(end))
            reservedEnd = end
        }
    }
}
