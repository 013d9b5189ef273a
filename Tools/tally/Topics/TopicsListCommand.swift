import ArgumentParser
import Tally

/// `tally topics list`.
struct TopicsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the topics; works while an application is running.")

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let topics = try DirectoryReader(path: data.data).topics()
            if rows.json {
                for topic in topics { try streams.output.write(topic.fields) }
                return
            }
            guard !topics.isEmpty else {
                return try streams.note("\(data.data) has no topics yet.")
            }
            var table = OutputTable([
                .text("topic"), .number("partitions"), .number("records"), .number("bytes"),
                .text("settings"),
            ])
            for topic in topics {
                let cells = [
                    topic.name, String(topic.partitions.count), topic.recordCount.grouped,
                    topic.byteCount.grouped, topic.settings,
                ]
                try table.add(cells, to: streams.output)
            }
            try table.flush(to: streams.output)
        }
    }
}

extension TopicDescription {
    /// Offsets between log start and log end; an upper bound on the records.
    var recordCount: Int64 {
        partitions.reduce(0) { $0 + $1.logEnd.rawValue - $1.logStart.rawValue }
    }

    /// Bytes of all partitions.
    var byteCount: Int { partitions.reduce(0) { $0 + $1.byteCount } }

    /// What was set, as on the command line.
    var settings: String {
        configuration.values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            .joined(separator: " ")
    }

    fileprivate func fields(_ line: inout JSONLine) {
        line.field("topic", name)
        line.field("id", "\(id)")
        line.field("partitions", partitions.count)
        line.field("records", recordCount)
        line.field("bytes", byteCount)
        line.field("settings", settings)
    }
}
