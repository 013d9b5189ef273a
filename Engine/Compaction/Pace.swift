import TallyLog

/// How fast a cleaning may go, and whether it may go on. Any thread.
package struct Pace: Sendable {
    private let wait: @Sendable (Int) -> Bool

    /// - Parameter wait: told of the bytes read or written since the last time; returns when it
    ///   is time to go on, and whether to go on at all.
    package init(_ wait: @escaping @Sendable (Int) -> Bool) { self.wait = wait }

    /// As fast as it goes.
    package static let free = Pace { _ in true }

    /// Bytes of a log were read or written. Throws ``LogError/closed(partition:)`` where the
    /// cleaning is to end.
    func moved(_ byteCount: Int, of log: PartitionLog) throws(LogError) {
        guard !log.isClosing, wait(byteCount) else { throw .closed(partition: log.name) }
    }
}
