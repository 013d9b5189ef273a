import Tally
import TallyStateStore

/// What `tally demo` shows at the end.
struct DemoReport {
    var topic: String
    var engine: Engine
    var queries: InventoryQueries
    var imported: ImportJob.Report?
    var projected: DemoCommand.Projected
    var directory: String

    func print() throws {
        let description = try engine.describeTopic(topic)
        printProjection()
        try printLog(description)
        try printStock()
        try printLag(description)
        printNext()
    }

    private func printProjection() {
        let rate = Double(projected.records) / max(projected.seconds, 0.001)
        Console.out(
            "\(projected.isRebuild ? "Rebuilt" : "Built") the projection of "
                + "\(projected.records.grouped) events in "
                + "\(Format.fixed(projected.seconds, 1)) s (\(Int(rate).grouped) events/s).")
    }

    private func printLog(_ description: TopicDescription) throws {
        let counts = description.partitions.map { $0.logEnd.rawValue - $0.logStart.rawValue }
        let byteCount = description.partitions.reduce(0) { $0 + $1.byteCount }
        Console.out()
        Console.out("The log: \(Format.bytes(byteCount)) in \(counts.count) partitions")
        if let imported {
            let ratio = Double(imported.recordBytes) / Double(max(byteCount, 1))
            Console.out(
                "  keys and values are \(Format.bytes(imported.recordBytes)); with LZ4 and all "
                    + "overhead the log takes 1/\(Format.fixed(ratio, 2)) of that")
        }
        let output = Output(descriptor: 1)
        var table = OutputTable(
            [
                .text("partition"), .number("records"), .number("bytes"), .number("share"),
                .number("segments"),
            ], indentation: "  ")
        let total = max(counts.reduce(0, +), 1)
        for (partition, count) in zip(description.partitions, counts) {
            let cells = [
                String(partition.index), count.grouped, Format.bytes(partition.byteCount),
                Format.fixed(Double(count) / Double(total) * 100, 1) + " %",
                String(partition.segmentCount),
            ]
            try table.add(cells, to: output)
        }
        try table.flush(to: output)
        try output.flush()
        let mean = Double(total) / Double(max(counts.count, 1))
        let largest = Double(counts.max() ?? 0) / mean
        let smallest = Double(counts.min() ?? 0) / mean
        Console.out(
            "  skew: the largest partition has \(Format.fixed(largest, 2)) times the mean, the "
                + "smallest \(Format.fixed(smallest, 2)) times")
    }

    private func printStock() throws {
        Console.out()
        Console.out("The ten lowest stocks (opening balance 0, a sale lowers, a return raises)")
        try print(queries.lowestStocks(topic: topic, limit: 10))
        Console.out()
        Console.out("The ten busiest keys")
        try print(queries.busiestKeys(topic: topic, limit: 10))
    }

    private func print(_ levels: [StockLevel]) throws {
        let output = Output(descriptor: 1)
        try levels.printTable(to: output)
        try output.flush()
    }

    private func printLag(_ description: TopicDescription) throws {
        let positions = try queries.status(topic: topic).flatMap(\.partitions)
        let done = Dictionary(
            positions.map { ($0.partition, $0.nextOffset.rawValue) }, uniquingKeysWith: max)
        let lag = description.partitions.reduce(0) { sum, partition in
            sum + partition.highWatermark.rawValue - (done[partition.index] ?? 0)
        }
        let totals = try queries.totals(topic: topic)
        let dead = try queries.deadLetterCount(topic: topic)
        Console.out()
        Console.out(
            "\(totals.rows.grouped) stock rows from \(totals.events.grouped) events; "
                + "lag \(lag.grouped); dead letters \(dead.grouped)")
    }

    private func printNext() {
        let option = directory == "./tally-data" ? "" : " --data \(directory)"
        Console.out()
        Console.out("Try next:")
        for command in [
            "stock --warehouse 'United Kingdom' --sort available --limit 5",
            "consume \(topic) --partition 0 --max 3 --json",
            "topics describe \(topic)",
            "inspect \(directory)/\(topic)-0",
            "inspect --verify \(directory)",
            "projection rebuild",
        ] {
            let needsData = !command.hasPrefix("inspect")
            Console.out("  .build/release/tally \(command)\(needsData ? option : "")")
        }
    }
}
