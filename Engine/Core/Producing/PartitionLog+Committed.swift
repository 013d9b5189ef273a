import Foundation
package import TallyLog
package import TallyRecords

extension PartitionLog {
    /// Returns once everything before an offset is committed: below the high watermark, and with
    /// enough replicas in sync. Blocks.
    ///
    /// - Parameters:
    ///   - epoch: the epoch in which it was appended.
    ///   - milliseconds: how long to wait at most.
    ///
    /// Throws as ``isCommitted(before:in:)``, and
    /// ``LogError/notEnoughInTime(partition:milliseconds:)``.
    func waitUntilCommitted(
        before end: Offset, in epoch: LeaderEpoch, milliseconds: Int64 = 30_000
    ) throws(LogError) {
        if try isCommitted(before: end, in: epoch) { return }
        let isReached = DispatchSemaphore(value: 0)
        highWatermarkWatermark.whenReached(end) { _ in isReached.signal() }
        let deadline = DispatchTime.now() + .milliseconds(Int(clamping: milliseconds))
        guard isReached.wait(timeout: deadline) == .success else {
            throw .notEnoughInTime(partition: name, milliseconds: milliseconds)
        }
        // Fails where the wait ended because somebody else leads by now.
        guard try isCommitted(before: end, in: epoch) else { throw .notLeader(partition: name) }
    }

    /// The same without blocking.
    ///
    /// - Parameter limits: what ends the wait in time.
    package func committed(
        before end: Offset, in epoch: LeaderEpoch, milliseconds: Int64, limits: TimeLimits
    ) async throws(LogError) {
        if try isCommitted(before: end, in: epoch) { return }
        let isInTime = await withCheckedContinuation { continuation in
            let waiting = WaitingAnswer<Bool>()
            waiting.begin(continuation)
            let limit = limits.add(at: .now + .milliseconds(milliseconds)) { waiting.tell(false) }
            highWatermarkWatermark.whenReached(end) { _ in
                limits.cancel(limit)
                waiting.tell(true)
            }
        }
        guard isInTime else {
            throw .notEnoughInTime(partition: name, milliseconds: milliseconds)
        }
        // Fails where the wait ended because somebody else leads by now.
        guard try isCommitted(before: end, in: epoch) else { throw .notLeader(partition: name) }
    }
}
