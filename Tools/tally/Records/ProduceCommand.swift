import ArgumentParser
import Foundation
import Tally
import TallyStateStore

/// `tally produce`.
struct ProduceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "produce",
        abstract: "Append records from standard input, one a line.",
        discussion: """
            A line is key<TAB>value; without a tab it is a value without a key. With --json a \
            line is an object: "value" (string or null), and optionally "key" (string or null), \
            "headers" as [["name", "value"], ...], "partition", and "timestamp" in milliseconds. \
            What consume --json prints can be read back.
            """)

    @Argument(help: "The topic.")
    var topic: String

    @Flag(help: "Read one JSON object a line.")
    var json = false

    @Option(help: "How keys and values are written: utf8 or base64.")
    var encoding = TextEncoding.utf8

    @Option(help: "The codec; lz4 and none are in every build.")
    var compression = CompressionOption.none

    @OptionGroup var data: DataOptions

    func run() async throws {
        try data.requireDirectory()
        let (topic, compression, data) = (topic, compression.codec, data.data)
        let parser = RecordLineParser(topic: topic, isJSON: json, encoding: encoding)
        try await interruptible {
            try await withEngine(at: data) { engine in
                _ = try engine.describeTopic(topic)
                var configuration = ProducerConfiguration()
                configuration.compression = compression
                configuration.lingerMilliseconds = 5
                let producer = try engine.producer(configuration)
                var count = 0
                do {
                    let input = LineReader(descriptor: STDIN_FILENO)
                    while let lines = try await input.next() {
                        for line in lines {
                            let record = try parser.parse(line, number: count + 1)
                            try await producer.send(buffering: record, line: count + 1)
                            count += 1
                        }
                    }
                } catch {
                    try await producer.flush()
                    let sent = Format.count(count, "record")
                    Console.note("\(sent) before that \(count == 1 ? "is" : "are") in the topic.")
                    throw error
                }
                try await producer.flush()
                Console.note("Produced \(Format.count(count, "record")) to topic \(topic).")
                try await updateProjection(engine, directory: data)
            }
        }
    }

    /// A topic that is projected stays up to date.
    private func updateProjection(_ engine: Engine, directory: String) async throws {
        guard FileManager.default.fileExists(atPath: directory + "/" + StateDatabase.fileName)
        else { return }
        let database = try StateDatabase(directory: directory)
        guard try InventoryQueries(database).topics().contains(topic) else { return }
        try await project(topic, engine, database)
    }
}

extension Producer {
    /// Takes a record, waiting for room where there is none.
    fileprivate func send(buffering record: ProducerRecord, line: Int) async throws {
        if isFull { try await waitForRoom() }
        do {
            try enqueue(
                topic: record.topic, partition: record.partition, key: record.key?.span.bytes,
                value: record.value?.span.bytes, timestamp: record.timestamp,
                headers: record.headers)
        } catch let error as EngineError {
            throw CommandFailure(
                "Line \(line): \(error)", exitCode: ExitCodes.code(for: error))
        }
    }
}
