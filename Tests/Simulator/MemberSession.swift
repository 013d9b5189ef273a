import TallyReplication

/// A member's registration, and how long it may count on it.
struct MemberSession {
    private(set) var term: LeaseTerm?
    /// The revision in which it was registered; nil while it is not.
    private(set) var revision: CoordinationRevision?

    mutating func begin(_ term: LeaseTerm, revision: CoordinationRevision) {
        self.term = term
        self.revision = revision
    }

    mutating func renew(_ lease: CoordinationLease, asked: CoordinationInstant) {
        term?.renew(lease, asked: asked)
    }

    mutating func end() {
        term = nil
        revision = nil
    }

    func isValid(at now: CoordinationInstant) -> Bool { term?.isValid(at: now) ?? false }
}
