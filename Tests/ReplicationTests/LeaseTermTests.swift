import TallyReplication
import TallyTestSupport
import Testing

@Suite("What the owner of a lease may count on")
struct LeaseTermTests {
    private func at(_ milliseconds: Int64) -> CoordinationInstant {
        CoordinationInstant(milliseconds: milliseconds)
    }

    @Test("it ends a tenth before the granted time, counted from before the request")
    func end() {
        let term = LeaseTerm(CoordinationLease(id: LeaseID(1), seconds: 10), asked: at(1000))
        #expect(term.end == at(10_000))
        #expect(term.isValid(at: at(9_999)))
        #expect(!term.isValid(at: at(10_000)))
        #expect(term.renewalIntervalMilliseconds == 3_333)
    }

    @Test("answers in another order than the requests, and of other leases, do not shorten it")
    func renewal() {
        let lease = CoordinationLease(id: LeaseID(1), seconds: 10)
        var term = LeaseTerm(lease, asked: at(0))
        term.renew(lease, asked: at(5_000))
        #expect(term.end == at(14_000))
        term.renew(lease, asked: at(3_000))
        #expect(term.end == at(14_000))
        term.renew(CoordinationLease(id: LeaseID(2), seconds: 100), asked: at(6_000))
        #expect(term.end == at(14_000))
        // The store grants less from now on: what it said before still holds.
        term.renew(CoordinationLease(id: LeaseID(1), seconds: 1), asked: at(6_000))
        #expect(term.end == at(14_000))
    }

    @Test("whatever a store says, nothing traps", arguments: [Int64.min, -1, 0, .max])
    func extremes(seconds: Int64) {
        let lease = CoordinationLease(id: LeaseID(1), seconds: seconds)
        let term = LeaseTerm(lease, asked: at(.max - 1))
        #expect(term.isValid(at: at(.max - 1)) == (seconds == .max))
        #expect(term.renewalIntervalMilliseconds >= 1)
    }

    @Test("under any delays, the owner stops before the ledger ends the lease")
    func conservative() throws {
        var random = TallyTestSupport.SeededGenerator.fromEnvironment()
        for _ in 0..<200 {
            var ledger = CoordinationLedger()
            let asked = Int64.random(in: 0..<1000, using: &random)
            var reached = asked + Int64.random(in: 0..<2000, using: &random)
            let lease = try ledger.grant(seconds: 3, now: at(reached))
            var term = LeaseTerm(lease, asked: at(asked))
            for _ in 0..<5 {
                let sent = reached + Int64.random(in: 0..<2500, using: &random)
                reached = sent + Int64.random(in: 0..<2500, using: &random)
                ledger.expire(now: at(reached))
                guard let renewed = try? ledger.keepAlive(lease.id, now: at(reached)) else { break }
                // One answer in three is lost.
                guard Int.random(in: 0..<3, using: &random) > 0 else { continue }
                term.renew(renewed, asked: at(sent))
            }
            guard let deadline = ledger.nextDeadline else { continue }
            #expect(term.end < deadline)
        }
    }
}
