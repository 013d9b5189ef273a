/// Until when the owner of a lease may count on it: never longer than the store does.
///
/// The store counts the granted time from the moment the request reached it. The owner counts it
/// from the moment *before it sent* the request, and takes a tenth off, since its clock may run
/// slower than the store's. So the owner stops first, however long the answer was under way; an
/// answer that is lost leaves the term as it was. What no clock can help against, a process that is
/// paused between looking at the clock and acting, is fenced by epochs and revisions.
public struct LeaseTerm: Hashable, Sendable {
    /// The lease, as it was granted or renewed last.
    public private(set) var lease: CoordinationLease
    /// The first moment at which the owner must not count on it any more.
    public private(set) var end: CoordinationInstant

    /// The part of the time that is taken off for clocks that run unequally: one of so many.
    public static let marginDivisor: Int64 = 10

    /// The term of a lease that was asked for at `asked`, by the owner's clock.
    public init(_ lease: CoordinationLease, asked: CoordinationInstant) {
        self.lease = lease
        end = Self.end(of: lease, asked: asked)
    }

    /// Prolongs the term by what a keep-alive answered that was sent at `asked`. Answers may come
    /// in any order; an older one changes nothing. One for another lease is ignored.
    public mutating func renew(_ lease: CoordinationLease, asked: CoordinationInstant) {
        guard lease.id == self.lease.id else { return }
        let newEnd = Self.end(of: lease, asked: asked)
        guard newEnd > end else { return }
        self.lease = lease
        end = newEnd
    }

    /// Whether the owner may count on it at that moment.
    public func isValid(at now: CoordinationInstant) -> Bool { now < end }

    /// How long to wait between two keep-alives: a third of the time, so that one may be lost.
    public var renewalIntervalMilliseconds: Int64 { max(1, Self.milliseconds(of: lease) / 3) }

    private static func end(
        of lease: CoordinationLease, asked: CoordinationInstant
    ) -> CoordinationInstant {
        let milliseconds = milliseconds(of: lease)
        return asked.advanced(byMilliseconds: milliseconds - milliseconds / marginDivisor)
    }

    /// As the store says it; nothing where that makes no sense.
    private static func milliseconds(of lease: CoordinationLease) -> Int64 {
        let (product, overflow) = lease.seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? (lease.seconds < 0 ? 0 : .max) : max(0, product)
    }
}
