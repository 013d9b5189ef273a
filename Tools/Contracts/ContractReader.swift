import Yams

extension Contract {
    /// The largest document that is read, in bytes.
    package static let byteCountMax = 8 << 20

    /// Reads an AsyncAPI 3.0 document in YAML (or JSON, which is YAML too).
    ///
    /// What stands under the Kafka bindings of channels and messages is held to the bindings'
    /// specification, version 0.5.0; what AsyncAPI has beside is passed over, and so are channels
    /// that have bindings of other protocols only. Pure; any text gives a contract or an error.
    ///
    /// Throws ``ContractError`` with file, line, path, what is wrong and what is allowed.
    package init(yaml: String, file: String) throws(ContractError) {
        let whole = ContractPlace(file: file, path: "")
        guard yaml.utf8.count <= Self.byteCountMax else {
            throw ContractError(
                whole, "it has \(yaml.utf8.count) bytes; allowed are \(Self.byteCountMax)")
        }
        let aliasCount = AliasCount.of(yaml)
        guard aliasCount <= AliasCount.max else {
            throw ContractError(
                whole,
                "it has \(aliasCount) aliases (*name), and \(AliasCount.max) are allowed; "
                    + "use $ref for what is repeated")
        }
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw ContractError(whole, error, file: file)
        }
        guard let root else {
            throw ContractError(whole, "it is empty; an AsyncAPI 3.0 document belongs here")
        }
        let document = DocumentNode(root: root, file: file)
        let format = try document.required("asyncapi")
        let version = try format.text()
        guard version.hasPrefix("3.0.") || version.hasPrefix("3.1.") else {
            throw format.error("found version \(version.prefix(40)); 3.0.0 is what is read here")
        }
        let information = try document.required("info")
        self.init(
            title: try information.required("title").text(),
            version: try information.required("version").text(), topics: [])
        var places: [String: ContractPlace] = [:]
        for (name, channel) in try document.member("channels")?.members() ?? [] {
            guard let topic = try TopicReader(name: name, channel: channel).read() else { continue }
            if let earlier = places.updateValue(topic.place, forKey: topic.name) {
                throw ContractError(
                    topic.place,
                    "topic \(topic.name) is described a second time; the first is at \(earlier)")
            }
            topics.append(topic)
        }
    }
}

extension ContractError {
    /// What the YAML parser found.
    fileprivate init(_ whole: ContractPlace, _ error: any Error, file: String) {
        func at(_ mark: Mark) -> ContractPlace {
            ContractPlace(file: file, line: mark.line, path: "")
        }
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init(at(mark), "this is no YAML: \(problem)")
        case .duplicatedKeysInMapping(let names, let context):
            let list = names.joined(separator: ", ")
            self.init(at(context.mark), "a name stands twice in one mapping: \(list)")
        case .reader(let problem, _, _, _): self.init(whole, "this is no YAML: \(problem)")
        default: self.init(whole, "this is no YAML: \(error)")
        }
    }
}

/// Reads one channel.
private struct TopicReader {
    let name: String
    let channel: DocumentNode

    /// Nil where the channel is none of Kafka's.
    func read() throws(ContractError) -> TopicContract? {
        let bindings = try channel.member("bindings")
        let kafka = try bindings?.member("kafka")
        // Only somebody else's bindings: only somebody else's channel.
        if let bindings, kafka == nil, !bindings.names.isEmpty { return nil }
        var topic = TopicContract(
            name: try topicName(kafka), place: channel.place)
        for name in ["description", "summary", "title"] where topic.description == nil {
            topic.description = try channel.member(name)?.text()
        }
        for (name, message) in try channel.member("messages")?.members() ?? [] {
            topic.messages.append(
                TopicContract.Message(name: name, key: try Self.key(of: message)))
        }
        try readExtensions(&topic)
        if let kafka { try read(kafka, &topic) }
        return topic
    }

    private func topicName(_ kafka: DocumentNode?) throws(ContractError) -> String {
        if let topic = try kafka?.member("topic") { return try topic.text() }
        guard let address = try channel.member("address") else { return name }
        let text = try address.text()
        guard !text.contains("{") else {
            throw address.error(
                "an address with parameters is no topic's name; give each topic a channel, or the "
                    + "name as bindings.kafka.topic")
        }
        return text
    }

    // MARK: The channel's binding

    private func read(
        _ kafka: DocumentNode, _ topic: inout TopicContract
    ) throws(ContractError) {
        for (name, member) in try kafka.members() {
            switch name {
            case "partitions":
                topic.partitions = Stated(try member.integer(1...10_000), member.place)
            case "replicas":
                topic.replicas = Stated(try member.integer(1...32_767), member.place)
            case "topicConfiguration": try readSettings(member, &topic)
            case "topic", "bindingVersion": _ = try member.text()
            default: try refuse(name, member, among: KafkaNames.channel)
            }
        }
    }

    /// Extensions are anybody's; all else has to be a name that is known.
    private func refuse(
        _ name: String, _ member: DocumentNode, among allowed: [String]
    ) throws(ContractError) {
        guard !name.hasPrefix("x-") else { return }
        throw member.error(
            "the Kafka binding has no such name; " + KafkaNames.hint(for: name, among: allowed))
    }

    private func readSettings(
        _ settings: DocumentNode, _ topic: inout TopicContract
    ) throws(ContractError) {
        for (name, member) in try settings.members() {
            if name.hasPrefix("x-") || name.hasPrefix(KafkaNames.vendorPrefix) { continue }
            guard KafkaNames.settings.contains(name) else {
                throw member.error(
                    "there is no such topic setting; "
                        + KafkaNames.hint(for: name, among: KafkaNames.settings))
            }
            topic.settings[name] = Stated(try Self.value(of: name, member), member.place)
        }
    }

    private static func value(
        of name: String, _ member: DocumentNode
    ) throws(ContractError) -> String {
        if KafkaNames.integerSettings.contains(name) {
            return String(try member.integer(-2...Int.max))
        }
        guard name == "cleanup.policy" else { return try member.text() }
        // A list in the specification; one policy alone is often written as a value.
        let elements = member.isList ? try member.elements() : [member]
        var policies: [String] = []
        for element in elements {
            let policy = try element.text()
            guard ["delete", "compact"].contains(policy), !policies.contains(policy) else {
                throw element.error(
                    "found \(element.kind); a list of delete or compact or both belongs here")
            }
            policies.append(policy)
        }
        guard !policies.isEmpty else {
            throw member.error("the list is empty; name delete or compact or both")
        }
        return policies.sorted(by: >).joined(separator: ",")
    }

    // MARK: Messages

    /// The key of a message, in its binding or in that of a trait.
    private static func key(
        of message: DocumentNode
    ) throws(ContractError) -> Stated<TopicContract.Key>? {
        var found: Stated<TopicContract.Key>?
        var holders = [message]
        if let traits = try message.member("traits") { holders += try traits.elements() }
        for holder in holders {
            guard let binding = try holder.member("bindings")?.member("kafka") else { continue }
            for (name, member) in try binding.members() {
                if name == "key" {
                    if found == nil { found = Stated(try key(member), member.place) }
                } else if !name.hasPrefix("x-"), !KafkaNames.message.contains(name) {
                    throw member.error(
                        "the Kafka binding has no such name; "
                            + KafkaNames.hint(for: name, among: KafkaNames.message))
                }
            }
        }
        return found
    }

    private static func key(_ member: DocumentNode) throws(ContractError) -> TopicContract.Key {
        var schema = member
        // A schema of another format stands one level deeper.
        if try member.member("schemaFormat") != nil { schema = try member.required("schema") }
        guard schema.isMapping else {
            throw schema.error(
                "found \(schema.kind), and a schema (type: string, ...) belongs here")
        }
        var key = TopicContract.Key()
        if let type = try schema.member("type"), !type.isMapping {
            if type.isList {
                var names: [String] = []
                for element in try type.elements() where !element.isMapping {
                    names.append(try element.text())
                }
                key.type = names.joined(separator: ",")
            } else {
                key.type = try type.text()
            }
        }
        // Avro says `doc` where JSON schemas say `description`.
        for name in ["description", "doc"] where key.description == nil {
            key.description = try schema.member(name)?.text()
        }
        return key
    }

    // MARK: Extensions

    private func readExtensions(_ topic: inout TopicContract) throws(ContractError) {
        for name in channel.names where name.hasPrefix("x-tally-") {
            guard let member = try channel.member(name) else { continue }
            switch name {
            case "x-tally-contents":
                guard let contents = TopicContract.Contents(rawValue: try member.text()) else {
                    let allowed = TopicContract.Contents.allCases.map(\.rawValue)
                    throw member.error(
                        "found \(member.kind); allowed are \(allowed.joined(separator: ", "))")
                }
                topic.contents = Stated(contents, member.place)
            case "x-tally-partitions-reason":
                topic.partitionsReason = Stated(try member.text(), member.place)
            case "x-tally-key-reason":
                topic.keyReason = Stated(try member.text(), member.place)
            case "x-tally-recovery-window-ms":
                topic.recoveryWindowMilliseconds = Stated(
                    try member.integer(0...Int.max), member.place)
            default:
                throw member.error(
                    "there is no such extension; "
                        + KafkaNames.hint(for: name, among: KafkaNames.extensions))
            }
        }
    }
}
