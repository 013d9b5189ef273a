import Synchronization

/// How many files the system may send from at a time: each takes a descriptor until it is sent,
/// and clients decide how long that is. What comes beyond is copied.
///
/// Thread rule: any thread.
final class FileAllowance: Sendable {
    /// Slices from here on are worth a descriptor.
    static let byteCountMin = 64 << 10

    private let left: Atomic<Int>

    init(count: Int) { left = Atomic(count) }

    /// Takes one, where there is one; give it back.
    func take() -> Bool {
        guard left.subtract(1, ordering: .relaxed).newValue < 0 else { return true }
        left.add(1, ordering: .relaxed)
        return false
    }

    /// Gives one back.
    func giveBack() { left.add(1, ordering: .relaxed) }
}
