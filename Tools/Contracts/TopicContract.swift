/// What a contract says somewhere, and where it says it.
package struct Stated<Value: Hashable & Sendable>: Hashable, Sendable {
    /// What it says.
    package var value: Value
    /// Where.
    package var place: ContractPlace

    /// A value and its place.
    package init(_ value: Value, _ place: ContractPlace) {
        self.value = value
        self.place = place
    }
}

/// An AsyncAPI 3.0 document, as far as it is about Kafka's topics. A value.
package struct Contract: Hashable, Sendable {
    /// `info.title`.
    package var title: String
    /// `info.version`.
    package var version: String
    /// The channels that are topics, in the document's order.
    package var topics: [TopicContract]

    /// A contract of these topics.
    package init(title: String, version: String, topics: [TopicContract]) {
        self.title = title
        self.version = version
        self.topics = topics
    }
}

/// What a contract says of one topic. What it does not say is nil, or absent.
package struct TopicContract: Hashable, Sendable {
    /// What records of a topic are.
    package enum Contents: String, CaseIterable, Sendable {
        /// Something that happened: each record counts.
        case events
        /// How something is now: of each key the newest record counts.
        case latestState = "latest-state"
    }

    /// A message that the channel carries.
    package struct Message: Hashable, Sendable {
        /// Its name in the channel.
        package var name: String
        /// `bindings.kafka.key`.
        package var key: Stated<Key>?
    }

    /// The schema of a message's key.
    package struct Key: Hashable, Sendable {
        /// `type`; several are joined by a comma.
        package var type: String?
        /// `description`.
        package var description: String?
    }

    /// The topic's name: the binding's `topic`, else the channel's `address`, else its name.
    package var name: String
    /// Where the channel stands.
    package var place: ContractPlace
    /// The channel's `description`, else its `summary`, else its `title`.
    package var description: String?
    /// The messages, in the document's order.
    package var messages: [Message] = []
    /// `bindings.kafka.partitions`.
    package var partitions: Stated<Int>?
    /// `bindings.kafka.replicas`.
    package var replicas: Stated<Int>?
    /// `bindings.kafka.topicConfiguration`: values as Kafka has them in text, by Kafka's names.
    package var settings: [String: Stated<String>] = [:]
    /// `x-tally-contents`.
    package var contents: Stated<Contents>?
    /// `x-tally-partitions-reason`: why so many partitions.
    package var partitionsReason: Stated<String>?
    /// `x-tally-key-reason`: why records have no key.
    package var keyReason: Stated<String>?
    /// `x-tally-recovery-window-ms`: for how long a consumer may be away and still find all it
    /// has missed.
    package var recoveryWindowMilliseconds: Stated<Int>?

    /// A topic of which nothing is said.
    package init(name: String, place: ContractPlace) {
        self.name = name
        self.place = place
    }

    /// Whether some message has a key.
    package var isKeyed: Bool { messages.contains { $0.key != nil } }

    /// The policies of `cleanup.policy`, or Kafka's default.
    package var cleanupPolicies: Set<String> {
        let text = settings["cleanup.policy"]?.value ?? "delete"
        return Set(text.split(separator: ",").map { String($0) })
    }

    /// A setting that is a whole number; nil where it is not stated.
    package func number(_ name: String) -> Int? { settings[name].flatMap { Int($0.value) } }
}
