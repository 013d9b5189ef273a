import ArgumentParser
import Foundation
import Synchronization
import TallySimulator

/// Runs many seeds, on all processors, and says which of them failed.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run clusters under faults, each from one seed, and check what they promised.",
        discussion: """
            The same seed gives the same run. Ends with 1 where a promise was broken. Another \
            build may need another seed for the same run.
            """)

    @Option(help: "The first seed.") var first: UInt64 = 1
    @Option(help: "How many seeds.") var seeds: UInt64 = 1000
    @Option(help: ArgumentHelp("A built-in mistake that is to be found.", valueName: "name"))
    var flaw: Flaw?
    @Option(
        help: ArgumentHelp(
            "The replicas' logs: model, stored (real ones), or mixed: stored in one of 8 seeds.",
            valueName: "what"))
    var storage = Simulation.Storage.mixed
    @Flag(help: "Print what happens, event by event; for one seed.") var trace = false

    func validate() throws {
        guard seeds > 0, first.addingReportingOverflow(seeds).overflow == false else {
            throw ValidationError("--seeds must be 1 or more, and --first so that they fit.")
        }
        if trace, seeds > 1 { throw ValidationError("--trace needs --seeds 1.") }
    }

    func run() throws {
        let start = ContinuousClock.now
        let totals = Mutex(Totals())
        let next = Atomic<UInt64>(first)
        let end = first + seeds
        DispatchQueue.concurrentPerform(
            iterations: ProcessInfo.processInfo.activeProcessorCount
        ) { _ in
            while true {
                let seed = next.add(1, ordering: .relaxed).oldValue
                guard seed < end else { return }
                var options = Simulation.Options(seed: seed, flaw: flaw)
                options.isTraced = trace
                options.storage = storage
                let report = Simulation.run(options)
                let progress = totals.withLock { totals in
                    totals.add(report)
                    return totals.seedCount.isMultiple(of: 10_000) ? "\(totals)" : nil
                }
                if let violation = report.violations.first { print("seed \(seed): \(violation)") }
                if let progress { print(progress) }
            }
        }
        let outcome = totals.withLock { $0 }
        print("\(outcome); \((ContinuousClock.now - start).formatted())")
        if outcome.failedCount > 0 { throw ExitCode.failure }
    }
}

/// What all seeds came to.
private struct Totals: CustomStringConvertible {
    var seedCount = 0
    var failedCount = 0
    private var acknowledgedCount = 0
    private var leaderCount = 0
    private var faultCount = 0
    private var lostDiskCount = 0
    private var voidCount = 0

    mutating func add(_ report: Simulation.Report) {
        seedCount += 1
        if !report.violations.isEmpty { failedCount += 1 }
        acknowledgedCount += report.acknowledgedCount
        leaderCount += report.leaderCount
        faultCount += report.faultCount
        lostDiskCount += report.lostDiskCount
        if report.isPromiseVoid { voidCount += 1 }
    }

    var description: String {
        "\(seedCount) seeds, \(failedCount) failed: \(acknowledgedCount) records acknowledged, "
            + "\(faultCount) faults, \(leaderCount) times a new leader, \(lostDiskCount) disks "
            + "lost (in \(voidCount) seeds the last of those in sync)"
    }
}

extension Flaw: ExpressibleByArgument {}
extension Simulation.Storage: ExpressibleByArgument {}
