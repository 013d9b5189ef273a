extension CoordinationLedger {
    /// Grants a lease that ends so many seconds after `now`, or later where the ledger has a least
    /// time. Error: `leaseTimeOutOfRange`.
    public mutating func grant(
        seconds: Int64, now: CoordinationInstant
    ) throws(CoordinationError) -> CoordinationLease {
        try CoordinationLimits.check(leaseSeconds: seconds)
        let granted = max(seconds, leaseSecondsMin)
        lastLease = LeaseID(lastLease.rawValue + 1)
        leases[lastLease] = Lease(
            seconds: granted, deadline: now.advanced(bySeconds: granted))
        return CoordinationLease(id: lastLease, seconds: granted)
    }

    /// Lets the lease begin anew at `now`. Error: `leaseNotFound`, also where its deadline has
    /// passed and ``expire(now:)`` was not called since.
    public mutating func keepAlive(
        _ id: LeaseID, now: CoordinationInstant
    ) throws(CoordinationError) -> CoordinationLease {
        guard var lease = leases[id], now < lease.deadline else { throw .leaseNotFound(id) }
        lease.deadline = max(lease.deadline, now.advanced(bySeconds: lease.seconds))
        leases[id] = lease
        return CoordinationLease(id: id, seconds: lease.seconds)
    }

    /// Ends the lease, and its keys with it, in one revision. Gives the changes. Error:
    /// `leaseNotFound`.
    @discardableResult
    public mutating func revoke(
        _ id: LeaseID
    ) throws(CoordinationError) -> [CoordinationChange] {
        guard let lease = leases.removeValue(forKey: id) else { throw .leaseNotFound(id) }
        return remove(lease.keys)
    }

    /// Ends all leases whose deadline has come, oldest deadline first, each in a revision of its
    /// own. Gives the changes.
    @discardableResult
    public mutating func expire(now: CoordinationInstant) -> [CoordinationChange] {
        let ended = leases.filter { $0.value.deadline <= now }
            .sorted { ($0.value.deadline, $0.key) < ($1.value.deadline, $1.key) }
        var changes: [CoordinationChange] = []
        for (id, lease) in ended {
            leases[id] = nil
            changes += remove(lease.keys)
        }
        return changes
    }

    /// When the next lease ends, if it is not kept alive: when to call ``expire(now:)``. Nil
    /// without leases.
    public var nextDeadline: CoordinationInstant? { leases.values.map(\.deadline).min() }

    /// The keys that go with a lease, in order; nil where there is no such lease.
    public func keys(of lease: LeaseID) -> [String]? { leases[lease]?.keys.sorted() }
}
