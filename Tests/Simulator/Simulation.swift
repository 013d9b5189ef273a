import TallyReplication
import TallyTestSupport

/// One run of a cluster in one thread: replicas, store, network, disks and clocks, all from one
/// seed. The same options give the same run, event by event.
public struct Simulation {
    /// What a run is made of.
    public struct Options: Sendable {
        /// Everything random comes from it.
        public var seed: UInt64
        /// A mistake that is built in, to see that it is found; nil for what is shipped.
        public var flaw: Flaw?
        /// How long faults go on, in milliseconds of the simulated clock.
        public var faultMilliseconds: Int64 = 15_000
        /// How long the cluster has to recover from the last of them.
        public var recoveryMilliseconds: Int64 = 25_000
        /// What the replicas' logs are.
        public var storage = Storage.mixed
        /// Print each event.
        public var isTraced = false

        /// A run of a seed.
        public init(seed: UInt64, flaw: Flaw? = nil) {
            self.seed = seed
            self.flaw = flaw
        }
    }

    /// What the replicas' logs are.
    public enum Storage: String, CaseIterable, Sendable {
        /// A small model of a log, which is fast.
        case model
        /// The real log, on a file system in memory that fails.
        case stored
        /// The real log in one of eight seeds, and the model in the others.
        case mixed
    }

    /// What came of it.
    public struct Report: Sendable {
        /// What should not have happened; empty if all is well.
        public var violations: [Violation]
        /// Records that were acknowledged.
        public var acknowledgedCount: Int
        /// Leaders that began to lead.
        public var leaderCount: Int
        /// Faults that were made.
        public var faultCount: Int
        /// Disks that were lost.
        public var lostDiskCount: Int
        /// Whether nobody has kept what was promised, so that the run ended without a verdict.
        public var isPromiseVoid: Bool
        /// Events that were worked off.
        public var eventCount: Int
    }

    /// Runs to the end, or to the first violation.
    public static func run(_ options: Options) -> Report {
        let world = World(options)
        world.start()
        world.run(until: options.faultMilliseconds)
        world.heal()
        world.run(until: options.faultMilliseconds + options.recoveryMilliseconds)
        world.check()
        return Report(
            violations: world.history.violations,
            acknowledgedCount: world.history.acknowledgements.count,
            leaderCount: world.history.leaderCount, faultCount: world.nemesis.faultCount,
            lostDiskCount: world.lostDisks.count, isPromiseVoid: world.lostDisks.isPromiseVoid,
            eventCount: world.eventCount)
    }
}
