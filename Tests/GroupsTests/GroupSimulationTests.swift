import TallyGroups
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Groups simulated")
struct GroupSimulationTests {
    static let both: Set<String> = ["orders", "stock"]

    /// One thing that may go wrong, or a thing that people do.
    static func disturb(_ world: GroupWorld, _ assignors: [Assignor]) throws {
        var generator = world.generator
        defer { world.generator = generator }
        guard Int.random(in: 0..<12, using: &generator) == 0 || world.alive.isEmpty
        else { return }
        let member = world.alive.randomElement(using: &generator)
        let topics: Set<String> =
            Int.random(in: 0..<4, using: &generator) == 0 ? ["stock"] : both
        let far = world.now.advanced(byMilliseconds: .random(in: 0...90_000, using: &generator))
        switch Int.random(in: 0..<40, using: &generator) {
        case 0..<10 where world.alive.count < 6:
            let number = Int.random(in: 0..<12, using: &generator)
            let isTaken = world.alive.contains { $0.configuration.instanceID == "static-\(number)" }
            let instanceID = number < 4 && !isTaken ? "static-\(number)" : nil
            // Whoever came with this id before is dead.
            world.generator = generator
            world.start(assignors, topics: topics, instanceID: instanceID)
            generator = world.generator
        case 10..<12: member?.isAlive = false
        case 12..<15: member?.machine.close(at: world.now)
        case 15..<18: member?.cutOffUntil = far
        case 18..<20: member?.stuckUntil = far
        case 20..<22: member?.machine.subscribe(to: topics, at: world.now)
        case 22..<26:
            // A static member's process dies and is started again.
            guard let member, let instanceID = member.configuration.instanceID else { return }
            member.isAlive = false
            world.generator = generator
            world.start(assignors, topics: member.machine.topics, instanceID: instanceID)
            generator = world.generator
        case 26..<28:
            let grown = (world.partitionCounts["stock"] ?? 0) + 1
            world.partitionCounts["stock"] = grown
            for member in world.alive { member.machine.partitionsChanged(at: world.now) }
        case 28..<30:
            world.now = world.now.advanced(
                byMilliseconds: .random(in: 0...20_000, using: &generator))
        case 30: try world.restartEngine()
        case 31..<36:
            if let old = world.oldCommits.randomElement(using: &generator) {
                world.schedule(.commit(nil, old), after: 0)
            }
        default: break
        }
    }

    @Test(
        "members that die, hang, come back and commit late never share a partition, and settle",
        arguments: [
            [Assignor.range], [.roundRobin], [.sticky], [.cooperativeSticky],
            [.range, .cooperativeSticky],
        ])
    func disturbed(assignors: [Assignor]) throws {
        var seeds = SeededGenerator.fromEnvironment("simulation of \(assignors)")
        var accepted = 0
        var refused = 0
        var generations = 0
        for _ in 0..<GroupWorld.count {
            let seed = seeds.next()
            let world = try GroupWorld(seed: seed)
            for _ in 0..<3 { world.start(assignors, topics: Self.both) }
            try world.run(milliseconds: 600_000) { try Self.disturb($0, assignors) }
            for member in world.alive {
                member.cutOffUntil = world.now
                member.stuckUntil = world.now
            }
            world.run(milliseconds: 120_000)
            try #require(world.problems.isEmpty, "seed \(seed): \(world.problems)")
            try #require(world.unsettled() == nil, "seed \(seed): \(world.unsettled() ?? "")")
            accepted += world.acceptedCommits
            refused += world.refusedCommits
            generations += world.generationsSeen.count
            if assignors != [.range] { try Self.requireBalance(world, seed) }
        }
        print("\(assignors): \(generations) generations, commits \(accepted)+, \(refused)-")
        #expect(accepted > 1000 && refused > 10 && generations > 50)
    }

    static func requireBalance(_ world: GroupWorld, _ seed: UInt64) throws {
        guard Set(world.alive.map { $0.machine.topics }).count == 1,
            world.alive.first?.configuration.assignors.first != .range
        else { return }
        let loads = world.alive.map { $0.machine.owned.count }
        try #require((loads.max() ?? 0) - (loads.min() ?? 0) <= 1, "seed \(seed): \(loads)")
    }
}
