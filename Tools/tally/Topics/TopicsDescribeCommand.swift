import ArgumentParser
import Tally

/// `tally topics describe`.
struct TopicsDescribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show a topic's settings and partitions; works while an application is running.")

    @Argument(help: "The name of the topic.")
    var topic: String

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let topic = try DirectoryReader(path: data.data).topic(topic)
            if rows.json {
                for partition in topic.partitions {
                    try streams.output.write { partition.fields(of: topic.name, &$0) }
                }
            } else {
                try printTable(topic, streams.output)
            }
        }
    }

    private func printTable(_ topic: TopicDescription, _ output: Output) throws {
        try output.write(line: "topic \(topic.name), id \(topic.id)")
        if topic.isDiscovered {
            try output.write(
                line: "  found without topics.json: nothing is retired or compacted until its "
                    + "configuration is stated (tally topics configure)")
        }
        for setting in TopicSetting.allCases {
            let isSet = topic.configuration.values[setting.rawValue] != nil
            let value = topic.configuration.value(of: setting)
            try output.write(line: "  \(setting.rawValue)=\(value)\(isSet ? "" : " (default)")")
        }
        var table = OutputTable([
            .number("partition"), .number("log start"), .number("log end"), .number("epoch"),
            .number("bytes"), .number("segments"), .text("problem"),
        ])
        for partition in topic.partitions {
            let cells = [
                "\(partition.index)", "\(partition.logStart)", "\(partition.logEnd)",
                "\(partition.leaderEpoch)", partition.byteCount.grouped,
                "\(partition.segmentCount)", partition.problem ?? "",
            ]
            try table.add(cells, to: output)
        }
        try table.flush(to: output)
    }
}

extension PartitionDescription {
    fileprivate func fields(of topic: String, _ line: inout JSONLine) {
        line.field("topic", topic)
        line.field("partition", index)
        line.field("logStart", logStart.rawValue)
        line.field("logEnd", logEnd.rawValue)
        line.field("leaderEpoch", leaderEpoch.rawValue)
        line.field("bytes", byteCount)
        line.field("segments", segmentCount)
        line.field("problem", orNull: problem)
    }
}
