import Yams

extension Contract {
    /// The contract as an AsyncAPI 3.0 document in YAML, which reads back as what it is, places
    /// aside. Pure.
    package var yaml: String {
        get throws {
            let root: [(String, Node)] = [
                ("asyncapi", Node.text("3.0.0")),
                (
                    "info",
                    Node.mapping([
                        ("title", Node.text(title)), ("version", Node.text(version)),
                    ])
                ),
                ("channels", Node.mapping(topics.map { ($0.name, $0.node) })),
            ]
            return try Yams.serialize(node: Node.mapping(root), width: -1, allowUnicode: true)
        }
    }
}

extension Node {
    /// Text, in quotes where it would be read as something else.
    fileprivate static func text(_ text: String) -> Node {
        let isPlain = Node(text).tag == Tag(.str)
        return Node(text, Tag(.str), isPlain ? .any : .singleQuoted)
    }

    fileprivate static func number(_ number: Int) -> Node { Node(String(number), Tag(.int)) }

    fileprivate static func mapping(_ members: [(String, Node)]) -> Node {
        Node(members.map { (text($0.0), $0.1) })
    }
}

extension TopicContract {
    fileprivate var node: Node {
        var members: [(String, Node)] = [("address", .text(name))]
        if let description { members.append(("description", .text(description))) }
        if let contents { members.append(("x-tally-contents", .text(contents.value.rawValue))) }
        if let partitionsReason {
            members.append(("x-tally-partitions-reason", .text(partitionsReason.value)))
        }
        if let keyReason { members.append(("x-tally-key-reason", .text(keyReason.value))) }
        if let recoveryWindowMilliseconds {
            members.append(
                ("x-tally-recovery-window-ms", .number(recoveryWindowMilliseconds.value)))
        }
        if !messages.isEmpty {
            members.append(("messages", .mapping(messages.map { ($0.name, $0.node) })))
        }
        members.append(("bindings", .mapping([("kafka", kafka)])))
        return .mapping(members)
    }

    private var kafka: Node {
        var members: [(String, Node)] = []
        if let partitions { members.append(("partitions", .number(partitions.value))) }
        if let replicas { members.append(("replicas", .number(replicas.value))) }
        let configuration = settings.sorted { $0.key < $1.key }.map { name, stated in
            (name, Self.node(of: name, stated.value))
        }
        if !configuration.isEmpty {
            members.append(("topicConfiguration", .mapping(configuration)))
        }
        members.append(("bindingVersion", Node("0.5.0", Tag(.str), .singleQuoted)))
        return .mapping(members)
    }

    private static func node(of name: String, _ value: String) -> Node {
        if name == "cleanup.policy" {
            let policies = value.split(separator: ",").map { Node.text(String($0)) }
            return Node(policies, Tag(.seq), .flow)
        }
        if KafkaNames.integerSettings.contains(name) { return Node(value, Tag(.int)) }
        if name == "min.cleanable.dirty.ratio" { return Node(value, Tag(.float)) }
        return .text(value)
    }
}

extension TopicContract.Message {
    fileprivate var node: Node {
        guard let key = key?.value else { return .mapping([("name", .text(name))]) }
        var schema: [(String, Node)] = []
        if let type = key.type {
            let types = type.split(separator: ",").map { Node.text(String($0)) }
            schema.append(("type", types.count == 1 ? types[0] : Node(types, Tag(.seq), .flow)))
        }
        if let description = key.description { schema.append(("description", .text(description))) }
        let kafka = Node.mapping([("key", .mapping(schema))])
        return .mapping([
            ("name", .text(name)), ("bindings", .mapping([("kafka", kafka)])),
        ])
    }
}
