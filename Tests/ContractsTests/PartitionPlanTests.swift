import Testing

@testable import TallyContracts

@Suite struct PartitionPlanTests {
    private func plan(
        _ load: Double, _ producer: Double, _ consumer: Double, _ consumers: Int,
        growth: Double = 1
    ) -> PartitionPlan? {
        PartitionPlan(
            .init(
                bytesPerSecond: load, producerBytesPerSecond: producer,
                consumerBytesPerSecond: consumer, consumerCount: consumers, growth: growth))
    }

    @Test("the largest of the three numbers decides, and says so")
    func largest() throws {
        let writing = try #require(plan(500e6, 10e6, 20e6, 20))
        #expect(writing.partitions == 50 && writing.reason == .producers)
        #expect(writing.forConsumers == 25 && writing.consumersNeeded == 25)
        let reading = try #require(plan(500e6, 50e6, 20e6, 20))
        #expect(reading.partitions == 25 && reading.reason == .consumers)
        let members = try #require(plan(10e6, 10e6, 20e6, 20))
        #expect(members.partitions == 20 && members.reason == .members)
    }

    @Test("a part of a partition is a whole one, and rounding adds none")
    func rounding() throws {
        #expect(try #require(plan(501e6, 10e6, 1e9, 1)).partitions == 51)
        #expect(try #require(plan(0.3, 0.1, 1, 1)).partitions == 3)
        #expect(try #require(plan(1, 10e6, 10e6, 1)).partitions == 1)
        #expect(try #require(plan(500e6, 10e6, 20e6, 20, growth: 1.5)).partitions == 75)
    }

    @Test("numbers that make no sense give no plan")
    func senseless() {
        #expect(plan(0, 1, 1, 1) == nil && plan(1, 0, 1, 1) == nil && plan(1, 1, 0, 1) == nil)
        #expect(plan(1, 1, 1, 0) == nil && plan(1, 1, 1, 1, growth: 0.5) == nil)
        #expect(plan(.infinity, 1, 1, 1) == nil && plan(.nan, 1, 1, 1) == nil)
        #expect(plan(1e300, 1e-300, 1, 1) == nil)
    }
}
