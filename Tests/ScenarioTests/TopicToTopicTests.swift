import Foundation
import Synchronization
import Tally
import TallyTestSupport
import Testing

/// Exactly once from topic to topic: outputs and position in one transaction, and what becomes of
/// them without. Seen by letting the application die at each point, and counting its outputs.
///
/// A crash is a copy of all files at that moment, as a killed process leaves them; what goes on is
/// the copy. It knows nothing of the members and producers of before.
@Suite("Scenario: from topic to topic", .serialized, .timeLimit(.minutes(10)))
struct TopicToTopicTests {
    private typealias Guarantee = TopicToTopic.Guarantee
    private typealias Point = TopicToTopic.Point
    private typealias Death = TopicToTopic.Death

    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Works with so many members until all is done or somebody dies; whether all is done.
    ///
    /// Who did not die ends with the order it is at.
    private func work(
        _ application: TopicToTopic, memberCount: Int = 1, through count: Int
    ) async throws -> Bool {
        let deathsBefore = application.allDeaths.count
        let members = (0..<memberCount).map { number in
            Task { try await application.ship(as: "\(number)") }
        }
        let isEnded = try await GroupScenario.eventually {
            if application.allDeaths.count > deathsBefore { return true }
            return try await application.finishedCount() == count
        }
        #expect(isEnded)
        var isDead = false
        for member in members { member.cancel() }
        for member in members {
            do {
                try await member.value
            } catch is TopicToTopic.Crash {
                isDead = true
            }
        }
        return !isDead
    }

    // MARK: A crash at each point

    /// How often an order is in each topic, when the application died at it once.
    private func expected(
        _ guarantee: Guarantee, _ point: Point, _ isolation: IsolationLevel
    ) -> [Int] {
        // What was aborted is in the log too; who does not ask for committed records sees it.
        if guarantee == .exactlyOnce, isolation == .readCommitted { return [1, 1] }
        return switch point {
        case .beforeSends, .afterCommit: [1, 1]
        case .betweenSends: [2, 1]
        case .afterSends: [2, 2]
        case .afterOffsets: guarantee == .exactlyOnce ? [2, 2] : [1, 1]
        }
    }

    @Test(
        "exactly once from topic to topic, with a crash at each point; at least once doubles",
        arguments: Guarantee.allCases)
    private func eachPoint(guarantee: Guarantee) async throws {
        for point in Point.allCases {
            let path = directory.path("\(guarantee.rawValue)-\(point)")
            var application = try await TopicToTopic(at: path, guarantee) { death in
                death.order == 3 && death.point == point
            }
            try await application.sell(0..<6, partitions: 1)
            #expect(try await !work(application, through: 6), "it did not die")
            application = try await application.crash(to: path + "-crashed")
            #expect(try await work(application, through: 6))
            for isolation in [IsolationLevel.readCommitted, .readUncommitted] {
                let counts = expected(guarantee, point, isolation)
                for (topic, count) in zip(TopicToTopic.outputs, counts) {
                    var expected = Dictionary(uniqueKeysWithValues: (0..<6).map { ($0, 1) })
                    expected[3] = count
                    let found = try await application.counts(of: topic, isolation)
                    #expect(found == expected, "\(guarantee), \(point), \(topic), \(isolation)")
                }
            }
            try await application.engine.close()
        }
    }

    // MARK: Many crashes, two members

    /// Decides who dies: at random, and where one of a process has died, its others too.
    private final class Fate: Sendable {
        private let state: Mutex<(generator: SeededGenerator, left: Int, isDying: Bool)>

        init(_ generator: SeededGenerator) { state = Mutex((generator, 0, false)) }

        /// A new process, in which somebody dies after passing so many points.
        func begin(dyingAfter points: Int) {
            state.withLock { state in (state.left, state.isDying) = (points, false) }
        }

        func isFatal(_: Death) -> Bool {
            state.withLock { state in
                state.left -= 1
                if state.left < 0 { state.isDying = true }
                return state.isDying
            }
        }

        func draw(_ range: ClosedRange<Int>) -> Int {
            state.withLock { Int.random(in: range, using: &$0.generator) }
        }
    }

    @Test(
        "random crashes of two members with two partitions: once each and in order, or once more",
        arguments: Guarantee.allCases)
    private func randomCrashes(guarantee: Guarantee) async throws {
        let fate = Fate(.fromEnvironment("randomCrashes(\(guarantee.rawValue))"))
        let count = 60
        var path = directory.path("0")
        var application = try await TopicToTopic(at: path, guarantee, dying: fate.isFatal)
        try await application.sell(0..<count, partitions: 2)
        fate.begin(dyingAfter: fate.draw(5...60))
        var crashes = 0
        while try await !work(application, memberCount: 2, through: count) {
            crashes += 1
            fate.begin(dyingAfter: fate.draw(5...60))
            // The members die with the process, or they alone: then others take their places, and
            // a producer its predecessor's transaction.
            guard fate.draw(0...1) == 0 else { continue }
            path = directory.path("\(crashes)")
            application = try await application.crash(to: path, dying: fate.isFatal)
        }
        #expect(crashes > 0)
        try await check(application, count, crashes)
        try await application.engine.close()
    }

    private func check(
        _ application: TopicToTopic, _ count: Int, _ crashes: Int
    ) async throws {
        let deaths = application.allDeaths
        #expect(deaths.count >= crashes)
        var doubled = 0
        for (topic, firstPoint) in zip(
            TopicToTopic.outputs, [Point.betweenSends, .afterSends])
        {
            let found = try await application.counts(of: topic, .readCommitted)
            for order in 0..<count {
                // Those who died with the order sent and not committed.
                let repeated = deaths.count { death in
                    death.order == order
                        && (firstPoint.rawValue..<Point.afterOffsets.rawValue)
                            .contains(death.point.rawValue)
                }
                let expected = application.guarantee == .exactlyOnce ? 1 : 1 + repeated
                #expect(found[order] == expected, "order \(order) in \(topic)")
                doubled += (found[order] ?? 0) - 1
            }
            // All that was ever sent is in the log, for who does not ask what became of it.
            let all = try await application.counts(of: topic, .readUncommitted)
            #expect(all == application.sentCounts(to: topic))
            guard application.guarantee == .exactlyOnce else { continue }
            for orders in try await application.orders(in: topic, .readCommitted).values {
                #expect(orders == orders.sorted(), "order by order, as they came in")
            }
        }
        print(
            "\(application.guarantee.rawValue), \(crashes) crashes, \(deaths.count) members dead: "
                + "\(doubled) outputs too many")
    }

    // MARK: Real deaths

    @Test(
        "a process that is killed 12 times on the way from topic to topic",
        arguments: Guarantee.allCases)
    private func killed(guarantee: Guarantee) async throws {
        var generator = SeededGenerator.fromEnvironment("killed(\(guarantee.rawValue))")
        let path = directory.path("killed")
        let count = 300
        let before = try await TopicToTopic(at: path + "/data", guarantee)
        try await before.sell(0..<count, partitions: 1)
        try await before.engine.close()
        let work = DeliveryProcess(work: "\(guarantee.rawValue)-to-topic", path, count)
        let kills = try await work.killUpTo(12, withinMicroseconds: 90_000, using: &generator)
        let after = try await TopicToTopic(at: path + "/data", guarantee)
        #expect(try await after.finishedCount() == count)
        for topic in TopicToTopic.outputs {
            let found = try await after.counts(of: topic, .readCommitted)
            let missing = (0..<count).count { found[$0] == nil }
            let repeated = found.values.reduce(0) { $0 + $1 - 1 }
            print("\(guarantee.rawValue) to \(topic), killed \(kills) times: \(repeated) twice")
            #expect(missing == 0)
            // One record an element: a death costs one at most.
            #expect(repeated <= (guarantee == .exactlyOnce ? 0 : kills))
        }
        try await after.engine.close()
    }
}
