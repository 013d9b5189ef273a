import Tally
import TallyCommand
import TallyTestSupport
import Testing

/// The gallery of `fixtures/designs`, driven by skewed loads.
@Suite("The gallery of designs", .timeLimit(.minutes(10)))
struct DesignsTests {
    /// What the busiest partition may have under a remedy, as so many times its fair share. Items
    /// fall on partitions by hash: with 250 of them or more to a partition, as here, this is five
    /// standard deviations away.
    static let ratioNearFair = 1.35
    /// What the key that suggests itself does at least.
    static let ratioHot = 2.0

    @Test(
        "a hot key makes a hot partition; the remedy spreads it and keeps the order it promises",
        arguments: Design.gallery)
    func remedy(_ design: Design) async throws {
        var generator = SeededGenerator.fromEnvironment(design.testDescription)
        let events = design.load.events(using: &generator)

        // The key that suggests itself: one partition has too much, and only there readers that
        // are fast enough for the whole topic fall behind.
        let hot = try await DesignOutcome.of(events, design, key: design.hotKey)
        #expect(hot.isComplete(events.count))
        #expect(hot.records.disorder(of: events, by: design.hotKey) == nil)
        try hot.expectHot()
        // The tool finds the key, and names the remedy.
        let heavy = hot.heavyKeys
        let hottest = design.load.groupName(0)
        #expect(heavy.contains(hottest))
        let proposal = SkewRemedy.remedies(for: hot.skew).first { $0.kind == design.kind }
        #expect(proposal?.fit == .fits || proposal?.fit == .perhaps)

        // The remedy.
        let remedied = try await DesignOutcome.of(
            events, design, partitioner: design.partitioner
        ) { design.remedy($0, heavy) }
        #expect(remedied.isComplete(events.count))
        remedied.expectEven()
        if let ordered = design.ordered {
            #expect(remedied.records.disorder(of: events, by: ordered) == nil)
        }
        // What it gives up: the hot key as a whole is in order no more.
        #expect(hot.partitionCount { events[$0].group == hottest } == 1)
        #expect(remedied.partitionCount { events[$0].group == hottest } > 1)
        print(
            "\(design.testDescription): of \(hot.skew.parts.count) partitions the busiest had "
                + "\(hot.summary); with the remedy \(remedied.summary)")
    }
}
