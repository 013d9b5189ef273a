/// What instances of a cluster agree through: a small ordered key-value store with leases,
/// transactions that compare before they write, and watches. The model is etcd's, and so are the
/// words.
///
/// All that the cluster decides (who is a member, who leads a partition in which epoch, who is in
/// sync) is a compare-and-swap here. The store is the only one to be asked; Tally brings no
/// consensus of its own.
///
/// - Linearizable: a call sees all that was committed before it began.
/// - A key with a lease goes when the lease ends, at the moment the *store* says. Whoever holds the
///   lease must have stopped before: see ``LeaseTerm``.
/// - Keys are visible ASCII of at most ``CoordinationLimits/keyBytesMax`` bytes, in byte order.
///
/// Thread rule: any task may call, at any time. No call waits for ever: each has a deadline that
/// the implementation states, and throws ``CoordinationError/unavailable(reason:)`` or
/// ``CoordinationError/outcomeUnknown(reason:)`` then.
public protocol CoordinationStore: Sendable {
    /// Grants a lease of about so many seconds. The store may grant another time than was asked
    /// for (etcd has a least one): what counts is ``CoordinationLease/seconds`` of the answer.
    ///
    /// Errors: `leaseTimeOutOfRange`; `unavailable`; `outcomeUnknown`, where a lease may be left
    /// behind that nobody knows, which ends by itself.
    func grantLease(seconds: Int64) async throws(CoordinationError) -> CoordinationLease

    /// Lets the lease begin anew, for the time that the answer says.
    ///
    /// Errors: `leaseNotFound` where it has ended, and its keys with it; `unavailable`;
    /// `outcomeUnknown`, after which the owner counts on the old end.
    func keepAlive(_ lease: LeaseID) async throws(CoordinationError) -> CoordinationLease

    /// Ends a lease at once, and its keys with it, in one revision.
    ///
    /// Errors: `leaseNotFound`, `unavailable`, `outcomeUnknown`.
    func revoke(_ lease: LeaseID) async throws(CoordinationError)

    /// All entries whose keys begin with `prefix` (all there are where it is empty), in the order
    /// of their keys, as they were at one revision.
    ///
    /// Errors: `invalidKey`, `unavailable`.
    func read(prefix: String) async throws(CoordinationError) -> CoordinationSnapshot

    /// Makes all operations of the transaction in one revision if all of its conditions hold, and
    /// none otherwise.
    ///
    /// Errors: `leaseNotFound` of an operation, where the conditions hold and nothing was written;
    /// `unavailable`, where nothing was written; `outcomeUnknown`, where all or nothing was, or
    /// will be. Conditions on the revisions of what is written make it safe to try again: what
    /// was written already is a conflict then.
    func commit(
        _ transaction: CoordinationTransaction
    ) async throws(CoordinationError) -> CoordinationOutcome

    /// All changes to keys with `prefix` that come after `revision`, in order, none left out and
    /// none twice, from the time before the call too. Read first, then watch after the revision
    /// of what was read.
    ///
    /// The sequence ends with an error: `compacted` where the store no longer has all of them
    /// (read anew), `unavailable` once the store was closed, `invalidKey`. An outage of the store
    /// is no error here: the sequence goes on behind it. It ends without one when the task is
    /// cancelled.
    func watch(prefix: String, after revision: CoordinationRevision) -> CoordinationWatch
}
