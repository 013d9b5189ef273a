/// How many partitions a topic needs: for its throughput at the producers and at the consumers,
/// and for as many consumers as shall share the work. A value; pure arithmetic.
///
/// A partition is written and read one after the other, so that one producer's or one consumer's
/// pace is also that of a partition; and a group has no use for more members than partitions.
package struct PartitionPlan: Hashable, Sendable {
    /// What a topic has to bear.
    package struct Demand: Hashable, Sendable {
        /// Bytes a second that the topic takes at its busiest.
        package var bytesPerSecond: Double
        /// Bytes a second that can be written to one partition.
        package var producerBytesPerSecond: Double
        /// Bytes a second that one consumer can work off.
        package var consumerBytesPerSecond: Double
        /// Members of the largest group.
        package var consumerCount: Int
        /// Room for growth, as a factor: 1 for none, 1.5 for half as much again.
        package var growth: Double

        /// A demand. All numbers are positive, and growth is at least 1.
        package init(
            bytesPerSecond: Double, producerBytesPerSecond: Double,
            consumerBytesPerSecond: Double, consumerCount: Int, growth: Double = 1
        ) {
            self.bytesPerSecond = bytesPerSecond
            self.producerBytesPerSecond = producerBytesPerSecond
            self.consumerBytesPerSecond = consumerBytesPerSecond
            self.consumerCount = consumerCount
            self.growth = growth
        }
    }

    /// What decides.
    package enum Reason: String, CaseIterable, Sendable {
        /// Writing.
        case producers
        /// Reading.
        case consumers
        /// The members of the group.
        case members
    }

    /// What was asked for.
    package let demand: Demand
    /// Partitions for writing.
    package let forProducers: Int
    /// Partitions for reading.
    package let forConsumers: Int
    /// Partitions so that every member has one.
    package let forMembers: Int

    /// The plan for a demand; nil where its numbers make no sense, or no topic could have as many
    /// partitions.
    package init?(_ demand: Demand) {
        func count(_ share: Double) -> Int? {
            let needed = demand.bytesPerSecond * demand.growth / share
            guard needed.isFinite, needed <= 1e9 else { return nil }
            // A share that is met exactly needs no further partition for the sake of rounding.
            return max(1, Int((needed - 1e-9).rounded(.up)))
        }
        guard demand.bytesPerSecond > 0, demand.producerBytesPerSecond > 0,
            demand.consumerBytesPerSecond > 0, demand.consumerCount > 0, demand.growth >= 1,
            demand.consumerCount <= 1_000_000,
            let forProducers = count(demand.producerBytesPerSecond),
            let forConsumers = count(demand.consumerBytesPerSecond)
        else { return nil }
        self.demand = demand
        self.forProducers = forProducers
        self.forConsumers = forConsumers
        forMembers = demand.consumerCount
    }

    /// The answer: the largest of the three.
    package var partitions: Int { max(forProducers, forConsumers, forMembers) }

    /// What decides; the first where several do.
    package var reason: Reason {
        partitions == forProducers ? .producers : partitions == forConsumers ? .consumers : .members
    }

    /// Consumers that are needed to keep up; more than the members that were planned where those
    /// are too few.
    package var consumersNeeded: Int { forConsumers }
}
