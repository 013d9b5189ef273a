import Testing

@testable import TallyContracts

@Suite struct LintTests {
    /// A topic to which nothing can be said.
    private static func sound() -> TopicContract {
        let place = ContractPlace(file: "c.yaml", line: 1, path: "channels.a")
        var topic = TopicContract(name: "a", place: place)
        topic.description = "What customers ordered"
        let key = TopicContract.Key(type: "string", description: "The order's id")
        topic.messages = [TopicContract.Message(name: "placed", key: Stated(key, place))]
        topic.partitions = Stated(12, place)
        topic.partitionsReason = Stated("12 consumers", place)
        topic.contents = Stated(.events, place)
        topic.recoveryWindowMilliseconds = Stated(259_200_000, place)
        return topic
    }

    private static func rules(_ change: (inout TopicContract) -> Void) -> [ContractFinding.Rule] {
        var topic = sound()
        change(&topic)
        return Contract(title: "", version: "", topics: [topic]).findings.map(\.rule)
    }

    private static func set(
        _ values: [String: String]
    ) -> (inout TopicContract) -> Void {
        { topic in
            for (name, value) in values { topic.settings[name] = Stated(value, topic.place) }
        }
    }

    @Test("a sound topic has no findings")
    func sound() { #expect(Self.rules { _ in } == []) }

    @Test("each rule finds what breaks it, and nothing else")
    func each() {
        func expect(
            _ rules: [ContractFinding.Rule], at line: Int = #line,
            _ change: (inout TopicContract) -> Void
        ) {
            #expect(Self.rules(change) == rules, "line \(line)")
        }
        expect([.purposeDescribed]) { $0.description = nil }
        expect([.purposeDescribed]) { $0.description = "orders" }
        expect([.topicName]) { $0.name = "a b" }
        expect([.topicName]) { $0.name = ".." }
        expect([.contentsStated]) { $0.contents = nil }
        expect([.keyDescribed]) { $0.messages = [] }
        expect([]) {
            $0.messages = []
            $0.keyReason = Stated("only counted", $0.place)
        }
        expect([.keyDescribed]) { $0.messages[0].key?.value.description = nil }
        expect([.keyDescribed]) { $0.messages[0].key?.value.type = nil }
        expect([.onePurpose]) {
            let key = TopicContract.Key(type: "string", description: "The customer's id")
            $0.messages.append(.init(name: "moved", key: Stated(key, $0.place)))
        }
        expect([.partitionsStated]) { $0.partitions = nil }
        expect([.partitionsJustified]) { $0.partitionsReason = nil }
        expect([.recoveryWindowStated]) { $0.recoveryWindowMilliseconds = nil }
        expect([.retentionCoversRecovery], Self.set(["retention.ms": "259200000"]))
        expect([], Self.set(["retention.ms": "259200001"]))
        expect([], Self.set(["retention.ms": "-1"]))
        expect([.retentionCoversRecovery]) {
            $0.recoveryWindowMilliseconds?.value = 604_800_000
        }
        expect([.retentionCoversRecovery], Self.set(["retention.bytes": "1000"]))
        expect([.messageSize], Self.set(["max.message.bytes": "20000000"]))
        expect(
            [.compactionForLatestState],
            Self.set(["cleanup.policy": "compact", "delete.retention.ms": "300000000"]))
        expect([.latestStateCompacted]) { $0.contents?.value = .latestState }
    }

    @Test("latest state is compacted, has keys, and tombstones outlive the recovery window")
    func compacted() {
        func rules(_ change: (inout TopicContract) -> Void) -> [ContractFinding.Rule] {
            Self.rules { topic in
                topic.contents?.value = .latestState
                Self.set(["cleanup.policy": "compact", "delete.retention.ms": "300000000"])(&topic)
                change(&topic)
            }
        }
        #expect(rules { _ in } == [])
        #expect(rules { $0.settings["delete.retention.ms"] = nil } == [.tombstonesCoverRecovery])
        #expect(rules { $0.messages = [] } == [.keyDescribed, .compactionNeedsKeys])
        // Records go by age too: then that counts as well.
        #expect(
            rules(
                Self.set(["cleanup.policy": "delete,compact", "retention.ms": "1"]))
                == [.retentionCoversRecovery])
    }

    @Test(
        "replicas and min.insync.replicas go together",
        arguments: [
            (1, nil, true), (3, "2", true), (3, "3", false), (3, "1", false), (3, nil, false),
            (2, "1", true), (2, "3", false), (1, "2", false), (5, "3", true),
        ])
    func replicas(_ replicas: Int, _ least: String?, _ isSound: Bool) {
        let rules = Self.rules { topic in
            topic.replicas = Stated(replicas, topic.place)
            if let least { Self.set(["min.insync.replicas": least])(&topic) }
        }
        #expect(rules == (isSound ? [] : [.replicasInSync]))
    }
}
