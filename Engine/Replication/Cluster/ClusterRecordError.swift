/// Why the value of a key in the coordination store cannot be understood.
public enum ClusterRecordError: Error, Hashable, Sendable {
    /// A newer version of Tally has written it.
    case newerVersion(record: String, version: UInt8, newest: UInt8)
    /// It is damaged, or nothing that Tally has written.
    case malformed(record: String, position: Int, reason: String)
}

extension ClusterRecordError: CustomStringConvertible {
    /// What is wrong, where, and what to do about it.
    public var description: String {
        switch self {
        case .newerVersion(let record, let version, let newest):
            "The \(record) has version \(version); this program knows \(newest) at most. Upgrade "
                + "all members before a newer version writes."
        case .malformed(let record, let position, let reason):
            "The \(record) in the coordination store is damaged at byte \(position): \(reason). "
                + "Restore the store from a copy."
        }
    }
}
