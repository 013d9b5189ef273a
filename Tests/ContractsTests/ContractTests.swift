import Foundation
import TallyTestSupport
import Testing

@testable import TallyContracts

/// A contract with everything in it.
let shop = """
    asyncapi: 3.0.0
    info:
      title: Shop
      version: 1.2.0
    servers:
      production: {host: 'shop:9092', protocol: kafka}
    channels:
      orders:
        address: shop.orders
        description: What customers ordered, one record an order
        x-tally-contents: events
        x-tally-partitions-reason: 10 MB/s at 1 MB/s a partition
        x-tally-recovery-window-ms: 259200000
        x-other: [anything, goes]
        messages:
          placed: {$ref: '#/components/messages/placed'}
        bindings:
          kafka:
            partitions: 12
            replicas: 3
            topicConfiguration:
              cleanup.policy: [delete]
              retention.ms: 604800000
              min.insync.replicas: 2
              confluent.key.schema.validation: true
            bindingVersion: '0.5.0'
          amqp: {is: queue}
      stock:
        x-tally-contents: latest-state
        bindings:
          kafka:
            topic: inventory-state
            topicConfiguration: {cleanup.policy: [compact, delete], tally.durability: 'interval:50'}
      elsewhere:
        bindings: {amqp: {is: queue}}
    components:
      messages:
        placed:
          traits:
            - bindings:
                kafka:
                  key: {type: string, description: The order's id}
    """

/// What a document is refused with; empty where it is not.
func refusal(_ yaml: String) -> String {
    do throws(ContractError) {
        _ = try Contract(yaml: yaml, file: "c.yaml")
        return ""
    } catch {
        return "\(error)"
    }
}

@Suite struct ContractTests {
    @Test("a contract says all that it states, and what is not Kafka's is passed over")
    func whole() throws {
        let contract = try Contract(yaml: shop, file: "shop.yaml")
        #expect(contract.title == "Shop" && contract.version == "1.2.0")
        #expect(contract.topics.map(\.name) == ["shop.orders", "inventory-state"])
        let orders = contract.topics[0]
        #expect(orders.partitions?.value == 12 && orders.partitions?.place.line == 19)
        #expect(orders.partitions?.place.path == "channels.orders.bindings.kafka.partitions")
        #expect(orders.replicas?.value == 3)
        #expect(orders.settings["retention.ms"]?.value == "604800000")
        #expect(orders.settings.count == 3)
        #expect(orders.messages.map(\.name) == ["placed"] && orders.isKeyed)
        #expect(orders.messages[0].key?.value.description == "The order's id")
        #expect(orders.recoveryWindowMilliseconds?.value == 259_200_000)
        #expect(orders.contents?.value == .events)
        let stock = contract.topics[1]
        #expect(stock.settings["cleanup.policy"]?.value == "delete,compact")
        #expect(stock.settings["tally.durability"]?.value == "interval:50")
        #expect(stock.partitions == nil && !stock.isKeyed)
    }

    @Test("what is written reads back as what it was")
    func roundTrip() throws {
        var contract = try Contract(yaml: shop, file: "shop.yaml")
        contract.topics[0].description = "yes: # it's \"quoted\"\nand å on two lines"
        contract.topics[1].name = "0x10"
        contract.topics[1].settings["compression.type"] = Stated("lz4", contract.topics[1].place)
        contract.topics[1].settings["min.cleanable.dirty.ratio"] = Stated(
            "0.25", contract.topics[1].place)
        let again = try Contract(yaml: try contract.yaml, file: "shop.yaml")
        #expect(again.title == contract.title && again.version == contract.version)
        for (first, second) in zip(contract.topics, again.topics) {
            #expect(first.name == second.name && first.description == second.description)
            #expect(first.partitions?.value == second.partitions?.value)
            #expect(first.replicas?.value == second.replicas?.value)
            #expect(first.settings.mapValues(\.value) == second.settings.mapValues(\.value))
            #expect(first.messages.map(\.name) == second.messages.map(\.name))
            #expect(first.messages.map(\.key?.value) == second.messages.map(\.key?.value))
            #expect(first.contents?.value == second.contents?.value)
            #expect(first.partitionsReason?.value == second.partitionsReason?.value)
            #expect(
                first.recoveryWindowMilliseconds?.value == second.recoveryWindowMilliseconds?.value)
        }
        #expect(again.topics.count == contract.topics.count)
    }

    /// A change to the contract, and what is said of it.
    static let damages: [(old: String, new: String, expected: [String])] = [
        ("asyncapi: 3.0.0", "asyncapi: 2.6.0", ["c.yaml:1: asyncapi", "2.6.0", "3.0.0"]),
        ("asyncapi: 3.0.0", "openapi: 3.0.0", ["asyncapi is missing"]),
        ("  title: Shop\n", "", ["info: title is missing"]),
        (
            "partitions: 12", "partition: 12",
            [
                "c.yaml:19: channels.orders.bindings.kafka.partition: ", "no such name",
                "did you mean partitions?", "topicConfiguration",
            ]
        ),
        ("partitions: 12", "partitions: 0", ["c.yaml:19:", "found 0; allowed is 1 to 10000"]),
        ("partitions: 12", "partitions: many", ["\"many\"", "a whole number"]),
        ("partitions: 12", "partitions: [12]", ["a list", "a whole number"]),
        ("replicas: 3", "replicas: 3.5", ["c.yaml:20:", "a whole number"]),
        (
            "retention.ms: 6", "retention.msec: 6",
            ["c.yaml:23:", "topicConfiguration.retention.msec", "did you mean retention.ms?"]
        ),
        ("[delete]", "[delete, purge]", ["\"purge\"", "delete or compact"]),
        ("[delete]", "[]", ["the list is empty"]),
        ("contents: events", "contents: stuff", ["\"stuff\"", "events, latest-state"]),
        ("x-tally-recovery-window-ms", "x-tally-recovery-window", ["did you mean x-tally-rec"]),
        ("#/components/messages/placed", "#/components/messages/paid", ["leads nowhere"]),
        ("#/components/messages/placed", "other.yaml", ["only references into the same"]),
        ("#/components/messages/placed", "#/channels/orders/messages/placed", ["circle"]),
        ("topic: inventory-state", "topic: shop.orders", ["a second time", "c.yaml:8"]),
        ("address: shop.orders", "address: 'shop.{id}'", ["parameters"]),
        ("key: {type", "keys: {type", ["did you mean key?"]),
        ("description: The order's id}", "description: [The]}", ["a list", "a value belongs"]),
        ("  version: 1.2.0", "  title: Shop", ["c.yaml", "a name stands twice", "title"]),
        ("  version: 1.2.0", " version: 1.2.0", ["c.yaml:4: this is no YAML"]),
    ]

    @Test("what is wrong is said with file, line, path, and what is allowed", arguments: damages)
    func damage(_ damage: (old: String, new: String, expected: [String])) throws {
        let at = try #require(shop.range(of: damage.old))
        let text = refusal(shop.replacingCharacters(in: at, with: damage.new))
        for part in damage.expected { #expect(text.contains(part), "\(text)") }
    }

    @Test(
        "any text gives a contract or an error",
        arguments: [
            "", "a", "[]", "asyncapi", "asyncapi: 3.0.0", "%", "\u{0}", "- *a", "? [a]\n: b",
            "asyncapi: {}", "asyncapi: 3.0.0\ninfo: {title: {}, version: 1}",
            "asyncapi: 3.0.0\ninfo: {title: a, version: 1}\nchannels: []",
            "asyncapi: 3.0.0\ninfo: {title: a, version: 1}\nchannels: {a: 1}",
            String(repeating: "[", count: 100_000), String(repeating: "{a: ", count: 5_000),
            String(repeating: "- ", count: 20_000),
        ])
    func anything(_ yaml: String) {
        #expect(!refusal(yaml).isEmpty)
    }

    /// Lists of lists by aliases: some lines that stand for more nodes than there is memory for.
    private static func bomb(asKey isKey: Bool) -> String {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x]\n"
        for level in 1...20 {
            let before = Array(repeating: "*a\(level - 1)", count: 8).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(before)]\n"
        }
        return text + (isKey ? "? *a20\n: b\n" : "asyncapi: *a20\n")
    }

    @Test("aliases of aliases cost nothing", .timeLimit(.minutes(10)), arguments: [false, true])
    func aliases(isKey: Bool) {
        #expect(
            refusal(Self.bomb(asKey: isKey)).contains("161 aliases (*name), and 32 are allowed"))
        // Few are fine, and what only looks like one is none.
        let emphasis = Array(repeating: "*a0* b&a0", count: 100).joined(separator: " ")
        let text = "a0: &a0 [\"\(emphasis)\"]\nb: *a0\nasyncapi: *a0"
        #expect(refusal(text) == "c.yaml:3: asyncapi: found a list, and a value belongs here")
    }

    @Test("the example of FORMAT.md is a contract to which nothing can be said")
    func example() throws {
        let url = Fixtures.repositoryURL.appendingPathComponent("Tools/Contracts/FORMAT.md")
        let page = try String(contentsOf: url, encoding: .utf8)
        let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
        let example = lines.filter { $0.hasPrefix("    ") }.map { $0.dropFirst(4) }
        let contract = try Contract(yaml: example.joined(separator: "\n"), file: "FORMAT.md")
        #expect(contract.topics.count == 1 && contract.findings.isEmpty)
        for rule in ContractFinding.Rule.allCases { #expect(page.contains("`\(rule.rawValue)`")) }
        for name in KafkaNames.extensions + KafkaNames.channel where name != "bindingVersion" {
            #expect(page.contains(name))
        }
    }

    @Test("bytes that were changed at random never trap")
    func fuzz() {
        var generator = SeededGenerator.fromEnvironment("contractFuzz")
        for _ in 0..<300 {
            var bytes = Array(shop.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: bytes.indices, using: &generator)
                bytes[at] = UInt8.random(in: 0..<128, using: &generator)
            }
            _ = refusal(String(decoding: bytes, as: UTF8.self))
        }
    }
}
