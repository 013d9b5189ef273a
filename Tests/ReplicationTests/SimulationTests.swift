import Foundation
import TallySimulator
import Testing

@Suite("Clusters under faults", .timeLimit(.minutes(20))) struct SimulationTests {
    /// How many seeds; `make simulate` runs as many as one likes.
    private static let seedCount =
        ProcessInfo.processInfo.environment["TALLY_SIMULATIONS"].flatMap { UInt64($0) } ?? 200

    @Test("every promise is kept, whatever the seed", arguments: 0..<4)
    func seeds(_ part: UInt64) {
        for seed in stride(from: part, to: Self.seedCount, by: 4) {
            let report = Simulation.run(Simulation.Options(seed: seed))
            #expect(report.violations.isEmpty, "seed \(seed): \(report.violations)")
            #expect(report.acknowledgedCount > 0)
        }
    }

    @Test("a seed is one run, event by event")
    func repeatable() {
        let reports = (0..<2).map { _ in Simulation.run(Simulation.Options(seed: 4711)) }
        #expect(reports[0].eventCount == reports[1].eventCount)
        #expect(reports[0].acknowledgedCount == reports[1].acknowledgedCount)
        #expect(reports[0].leaderCount == reports[1].leaderCount)
        #expect(
            reports[0].eventCount
                != Simulation.run(Simulation.Options(seed: 4712)).eventCount)
    }

    /// A seed at or behind which the mistake is found soon: some are rare.
    private static let hints: [Flaw: UInt64] = [.countsDeposed: 1228, .resumesEpoch: 35]

    @Test("a mistake that is built in is found", arguments: Flaw.allCases)
    func flaws(_ flaw: Flaw) {
        let first = Self.hints[flaw] ?? 0
        let found = (first..<first + 2000).lazy
            .map { Simulation.run(Simulation.Options(seed: $0, flaw: flaw)) }
            .first { !$0.violations.isEmpty }
        #expect(found != nil, "no seed finds '\(flaw)'")
    }

    @Test("each check finds some mistake", arguments: Violation.Promise.allCases)
    func checks(_ promise: Violation.Promise) throws {
        let (flaw, seed) = try #require(Self.witnesses[promise])
        let found = (seed..<seed + 2000).lazy
            .map { Simulation.run(Simulation.Options(seed: $0, flaw: flaw)) }
            .first { report in report.violations.contains { $0.promise == promise } }
        #expect(found != nil, "no seed breaks '\(promise)' with '\(flaw)'")
    }

    private static let witnesses: [Violation.Promise: (flaw: Flaw, seed: UInt64)] = [
        .acknowledgedStays: (.acknowledgesAlone, 0), .onceInOrder: (.forgetsProducers, 0),
        .replicasAgree: (.skipsTruncation, 1), .readsAgree: (.skipsTruncation, 2),
        .highWatermarkRises: (.tellsEarly, 0), .leaseHolds: (.ignoresLease, 0),
        .recovers: (.trustsProposal, 19),
    ]
}
