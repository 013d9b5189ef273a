import ArgumentParser
import TallyContracts

/// `tally partitions plan`.
struct PartitionsPlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Reckon how many partitions a topic needs, with the reasons.",
        discussion: """
            The largest of three numbers: throughput divided by what can be written to one \
            partition, throughput divided by what one consumer can work off, and the consumers \
            of the largest group. Measure the two rates with your own records (`tally bench`); \
            --growth 1.5 leaves room for half as much again. Rates are a number and B, kB, MB, GB, \
            KiB, MiB or GiB, a second.

            --json prints one object: partitions, reason (producers, consumers or members), \
            forProducers, forConsumers, forMembers, consumersNeeded.
            """)

    @Option(help: "What the topic takes at its busiest, as in 500MB/s.")
    var throughput: RateArgument

    @Option(help: "What can be written to one partition.")
    var producer: RateArgument

    @Option(help: "What one consumer can work off.")
    var consumer: RateArgument

    @Option(help: "Members of the largest group.")
    var consumers: Int

    @Option(help: "Room for growth, as a factor of 1 or more.")
    var growth = 1.0

    @OptionGroup var rows: RowOptions

    func validate() throws {
        if consumers < 1 { throw ValidationError("--consumers wants 1 or more.") }
        if !(growth >= 1) || growth > 1000 {
            throw ValidationError("--growth wants a factor from 1 to 1000.")
        }
        if plan == nil {
            throw ValidationError("With these numbers no topic would have partitions enough.")
        }
    }

    private var plan: PartitionPlan? {
        PartitionPlan(
            PartitionPlan.Demand(
                bytesPerSecond: throughput.bytesPerSecond,
                producerBytesPerSecond: producer.bytesPerSecond,
                consumerBytesPerSecond: consumer.bytesPerSecond, consumerCount: consumers,
                growth: growth))
    }

    func run() async throws {
        guard let plan else { return }
        try await printingRows { streams in
            if rows.json {
                try streams.output.write(plan.fields)
            } else {
                for line in text(of: plan) { try streams.output.write(line: line) }
            }
        }
    }

    private func text(of plan: PartitionPlan) -> [String] {
        let load = growth == 1 ? "\(throughput)" : "\(throughput) x \(growth)"
        var lines = [
            "\(Format.count(plan.partitions, "partition")), because of the "
                + "\(plan.reason.rawValue)",
            "  producers: \(load) / \(producer) = \(plan.forProducers): a partition is written "
                + "one batch after the other",
            "  consumers: \(load) / \(consumer) = \(plan.forConsumers): a partition is read by "
                + "one consumer of a group",
            "  members:   \(plan.forMembers): a member without a partition has nothing to do",
        ]
        if plan.consumersNeeded > consumers {
            lines.append(
                "  \(consumers) consumers cannot keep up: it takes \(plan.consumersNeeded)")
        }
        let idle = plan.partitions - plan.forMembers
        if idle > 0, plan.partitions % consumers != 0 {
            lines.append(
                "  \(plan.partitions) is no multiple of \(consumers): some consumers get one "
                    + "partition more than others")
        }
        lines.append(
            "  all of it holds for records that spread evenly over keys (tally topics skew), and "
                + "keys move when the number changes")
        lines.append("x-tally-partitions-reason: \(sentence(of: plan))")
        return lines
    }

    private func sentence(of plan: PartitionPlan) -> String {
        let room = growth == 1 ? "" : " with room for \(growth) times that"
        return "\(throughput)\(room), \(producer) a partition, \(consumer) a consumer, "
            + "\(consumers) consumers; the \(plan.reason.rawValue) decide"
    }
}

extension PartitionPlan {
    fileprivate func fields(_ line: inout JSONLine) {
        line.field("partitions", partitions)
        line.field("reason", reason.rawValue)
        line.field("forProducers", forProducers)
        line.field("forConsumers", forConsumers)
        line.field("forMembers", forMembers)
        line.field("consumersNeeded", consumersNeeded)
    }
}
