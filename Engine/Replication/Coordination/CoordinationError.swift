/// Why a coordination store did not do what it was asked.
public enum CoordinationError: Error, Hashable, Sendable {
    /// The store cannot be reached, or cannot answer, and why. Nothing was changed by the call.
    case unavailable(reason: String)
    /// The request went out and no answer came: it may have been done, may be done later, or
    /// never. Read to find out; a write that compares revisions may simply be tried again.
    case outcomeUnknown(reason: String)
    /// The lease has ended, or never was. Its keys are gone.
    case leaseNotFound(LeaseID)
    /// The time asked for a lease is none that may be asked for.
    case leaseTimeOutOfRange(seconds: Int64, allowed: ClosedRange<Int64>)
    /// The changes after `revision` are no longer all there; those after `oldest` are. Read anew
    /// and watch after the revision of what was read.
    case compacted(revision: CoordinationRevision, oldest: CoordinationRevision)
    /// A transaction has more conditions or operations than `limit`. Nothing of it was done.
    case tooManyOperations(count: Int, limit: Int)
    /// Two operations of a transaction write the same key.
    case duplicateKey(String)
    /// A key is empty, or has other characters than visible ASCII.
    case invalidKey(String)
    /// A key has more bytes than `limit`.
    case keyTooLarge(key: String, byteCount: Int, limit: Int)
    /// The value for a key has more bytes than `limit`.
    case valueTooLarge(key: String, byteCount: Int, limit: Int)
    /// Keys and values of a transaction have more bytes than `limit` together.
    case transactionTooLarge(byteCount: Int, limit: Int)
    /// The store answers, but not with what it should hold: damage, or something that is no such
    /// store. Trying again is of no use.
    case corrupt(reason: String)
    /// The store was written by a newer version, and why this one cannot use it.
    case newerVersion(reason: String)
}

extension CoordinationError: CustomStringConvertible {
    /// What is wrong, and what to do about it.
    public var description: String {
        switch self {
        case .unavailable(let reason):
            "The coordination store is not available: \(reason). Try again."
        case .outcomeUnknown(let reason):
            "The coordination store did not answer, and may or may not have done what it was "
                + "asked: \(reason). Read again to find out."
        case .leaseNotFound(let lease):
            "Lease \(lease) has ended, or never was, and its keys are gone. Ask for a new one."
        case .leaseTimeOutOfRange(let seconds, let allowed):
            "A lease of \(seconds) s cannot be asked for. Give it \(allowed.lowerBound) to "
                + "\(allowed.upperBound) s."
        case .compacted(let revision, let oldest):
            "The changes after revision \(revision) are gone; the history begins after \(oldest). "
                + "Read anew, and watch after the revision of what was read."
        case .tooManyOperations(let count, let limit):
            "A transaction of \(count) operations or conditions; \(limit) are allowed. Pack more "
                + "into a key, or make several transactions."
        case .duplicateKey(let key):
            "A transaction writes the key '\(key)' twice. Leave one of the two out."
        case .invalidKey(let key):
            "'\(key)' cannot be a key. Give it 1 or more characters of visible ASCII."
        case .keyTooLarge(let key, let byteCount, let limit):
            "The key '\(key.prefix(64))...' has \(byteCount) bytes; \(limit) are allowed."
        case .valueTooLarge(let key, let byteCount, let limit):
            "The value for '\(key)' has \(byteCount) bytes; \(limit) are allowed."
        case .transactionTooLarge(let byteCount, let limit):
            "A transaction of \(byteCount) bytes; \(limit) are allowed. Make several of it."
        case .corrupt(let reason):
            "The coordination store holds what it should not: \(reason). Restore it from a copy, "
                + "or begin a new one."
        case .newerVersion(let reason):
            "The coordination store was written by a newer version: \(reason). Upgrade this "
                + "program."
        }
    }
}
