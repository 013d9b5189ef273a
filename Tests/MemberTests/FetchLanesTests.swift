import TallyReplication
import Testing

@testable import TallyCluster

/// Which partition is fetched on which connection.
@Suite struct FetchLanesTests {
    private let start = ContinuousClock.now

    private func id(_ number: Int32) -> PartitionID { PartitionID(topicID: 7, partition: number) }

    /// Lanes with some partitions, which have found out that they have no records.
    private func quiet(_ count: Int32) -> FetchLanes {
        var lanes = FetchLanes(busyCount: 2)
        for number in 0..<count { _ = lanes.add(id(number)) }
        for lane in lanes.lanes {
            let answers = lanes.take(for: lane, at: start).partitions.map { ($0, false) }
            _ = lanes.note(answers, on: lane, at: start)
        }
        _ = lanes.take(for: .quiet, at: start)
        return lanes
    }

    @Test("new ones are spread over the busy lanes; without records they go to the quiet one")
    func new() {
        var lanes = FetchLanes(busyCount: 2)
        for number in 0..<10 as Range<Int32> { _ = lanes.add(id(number)) }
        #expect(lanes.take(for: .quiet, at: start).partitions.isEmpty)
        let first = lanes.take(for: .busy(0), at: start).partitions
        #expect(first.count == 5)
        #expect(lanes.take(for: .busy(1), at: start).partitions.count == 5)
        #expect(lanes.note(first.map { ($0, false) }, on: .busy(0), at: start) == [.quiet])
        // Until the quiet one has asked for them both do.
        #expect(Set(lanes.take(for: .busy(0), at: start).partitions) == Set(first))
        #expect(Set(lanes.take(for: .quiet, at: start).partitions) == Set(first))
        #expect(lanes.take(for: .busy(0), at: start).partitions.isEmpty)
    }

    @Test("one that has records goes to a busy lane, and back when it had none for a second")
    func traffic() {
        var lanes = quiet(100)
        #expect(lanes.take(for: .quiet, at: start).partitions.count == 100)
        #expect(lanes.note([(id(3), true)], on: .quiet, at: start) == [.busy(0)])
        #expect(lanes.note([(id(4), true)], on: .quiet, at: start) == [.busy(1)])
        #expect(lanes.take(for: .quiet, at: start).partitions.count == 100, "nobody else asks yet")
        #expect(lanes.take(for: .busy(0), at: start).partitions == [id(3)])
        #expect(lanes.take(for: .busy(1), at: start).partitions == [id(4)])
        #expect(lanes.take(for: .quiet, at: start).partitions.count == 98)
        let soon = start + FetchLanes.busyTime * 0.9
        let later = start + FetchLanes.busyTime
        #expect(lanes.note([(id(3), false)], on: .busy(0), at: soon) == [])
        #expect(lanes.note([(id(3), false)], on: .busy(0), at: later) == [.quiet])
        #expect(lanes.take(for: .busy(0), at: later).partitions == [id(3)])
        #expect(lanes.take(for: .quiet, at: later).partitions.count == 99)
        #expect(lanes.take(for: .busy(0), at: later).partitions.isEmpty)
    }

    @Test("records that come on the way to the quiet lane bring it back")
    func back() {
        var lanes = quiet(1)
        _ = lanes.note([(id(0), true)], on: .quiet, at: start)
        _ = lanes.take(for: .busy(0), at: start)
        let later = start + FetchLanes.busyTime
        _ = lanes.note([(id(0), false)], on: .busy(0), at: later)
        #expect(lanes.note([(id(0), true)], on: .busy(0), at: later) == [])
        #expect(lanes.take(for: .quiet, at: later).partitions == [id(0)])
        #expect(lanes.note([(id(0), false)], on: .quiet, at: later) == [.busy(0)])
    }

    @Test("there are as many busy lanes as wanted, within limits", arguments: [-1, 0, 1, 64, 65])
    func laneCount(_ wanted: Int) {
        let lanes = FetchLanes(busyCount: wanted).lanes
        #expect(lanes.count == 1 + min(max(wanted, 1), FetchLanes.busyCountMax))
    }

    @Test("each has its turn: those that had records last come last")
    func turns() {
        var lanes = FetchLanes(busyCount: 1)
        for number in 0..<3 as Range<Int32> { _ = lanes.add(id(number)) }
        let lane = FetchLanes.Lane.busy(0)
        _ = lanes.note([(id(0), true), (id(1), true)], on: lane, at: start)
        #expect(lanes.take(for: lane, at: start).partitions.first == id(2))
        _ = lanes.note([(id(2), true), (id(1), true)], on: lane, at: start)
        #expect(lanes.take(for: lane, at: start).partitions.first == id(0))
    }

    @Test("one whose answer was an error rests; one that was removed is asked for no more")
    func rests() {
        var lanes = FetchLanes(busyCount: 1)
        let lane = lanes.add(id(0))
        lanes.rest(id(0), until: start + .seconds(1))
        let resting = lanes.take(for: lane, at: start)
        #expect(resting.partitions.isEmpty && resting.haveOthers)
        #expect(lanes.take(for: lane, at: start + .seconds(1)).partitions == [id(0)])
        lanes.remove(id(0))
        let gone = lanes.take(for: lane, at: start + .seconds(2))
        #expect(gone.partitions.isEmpty && !gone.haveOthers)
        // It may come back, and lanes are still even.
        #expect(lanes.add(id(0)) == lane)
    }
}
