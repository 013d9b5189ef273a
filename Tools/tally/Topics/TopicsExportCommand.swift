import ArgumentParser
import Tally
import TallyContracts

/// `tally topics export`.
struct TopicsExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write topics as a contract; works while an application is running.",
        discussion: """
            An AsyncAPI 3.0 document with Kafka bindings: partitions, and the settings that are \
            not left to their defaults. `tally topics apply` finds nothing to change in it. What a \
            directory does not know (purpose, key, reasons) is for you to add; `tally topics lint` \
            says what is missing. A topic that was found without topics.json has no configuration \
            to export: state it first.
            """)

    @Argument(help: "The topics; all if none is named.")
    var topics: [String] = []

    @Option(help: "The title of the document.")
    var title = "Topics"

    @OptionGroup var data: DataOptions

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let reader = try DirectoryReader(path: data.data)
            let found = try topics.isEmpty ? reader.topics() : topics.map { try reader.topic($0) }
            for topic in found where topic.isDiscovered {
                throw EngineError.configurationIsNotStated(topic: topic.name)
            }
            let contract = Contract(
                title: title, version: "1.0.0", topics: found.map { TopicContract($0) })
            try streams.output.write(Array(try contract.yaml.utf8))
        }
    }
}

extension TopicContract {
    /// What a directory knows of a topic.
    fileprivate init(_ topic: TopicDescription) {
        let place = ContractPlace(file: "", path: "channels.\(topic.name)")
        self.init(name: topic.name, place: place)
        partitions = Stated(topic.partitions.count, place)
        replicas = Stated(1, place)
        settings = topic.configuration.values.mapValues { Stated($0, place) }
    }
}
