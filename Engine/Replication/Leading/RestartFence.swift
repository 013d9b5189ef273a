public import TallyRecords

/// Keeps a member that was started anew from going on in an epoch that it may have led before.
///
/// What its process had not synced is gone here, and may be at followers. Other records at the
/// same offsets, in the same epoch, would never be told from them. So a member leads only in epochs
/// that are newer than the first it hears of after its start; for that one it asks for a successor
/// (``Election/renewing(_:)``). Which revision wrote the state says nothing: a change of the
/// in-sync set, asked for by the process before, may be carried out late.
///
/// One for each partition and start of the process. A value type; one thread at a time.
public struct RestartFence: Hashable, Sendable {
    private var firstHeard: LeaderEpoch?

    /// A process that has just been started.
    public init() {}

    /// Whether the member may lead in an epoch of which the store says that it leads. To be asked
    /// about every state that is heard of, also where others lead.
    public mutating func permits(_ epoch: LeaderEpoch) -> Bool {
        let first = firstHeard ?? epoch
        firstHeard = first
        return epoch > first
    }
}
