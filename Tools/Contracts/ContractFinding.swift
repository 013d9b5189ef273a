/// Something about a contract that its topic would suffer from. A value.
package struct ContractFinding: Hashable, Sendable {
    /// What a contract is held to.
    package enum Rule: String, CaseIterable, Sendable {
        /// Someone who has never heard of the topic can tell what it is for.
        case purposeDescribed = "purpose-described"
        /// All records of a topic are about the same things.
        case onePurpose = "one-purpose"
        /// What the key is, or why there is none.
        case keyDescribed = "key-described"
        /// The number of partitions is said.
        case partitionsStated = "partitions-stated"
        /// And why it is this one.
        case partitionsJustified = "partitions-justified"
        /// For how long a consumer may be away is said.
        case recoveryWindowStated = "recovery-window-stated"
        /// Records stay for longer than that.
        case retentionCoversRecovery = "retention-covers-recovery"
        /// So do tombstones.
        case tombstonesCoverRecovery = "tombstones-cover-recovery"
        /// What the records are, events or latest state, is said.
        case contentsStated = "contents-stated"
        /// Only latest state is compacted.
        case compactionForLatestState = "compaction-for-latest-state"
        /// Latest state is compacted.
        case latestStateCompacted = "latest-state-compacted"
        /// What is compacted has keys.
        case compactionNeedsKeys = "compaction-needs-keys"
        /// Acknowledged records outlive one replica, and one replica that is away stops nothing.
        case replicasInSync = "replicas-in-sync"
        /// Records are messages and not files.
        case messageSize = "message-size"
        /// Kafka takes the topic's name.
        case topicName = "topic-name"
        /// A setting's value can be used. Not found here: it takes the engine that uses it.
        case settingValue = "setting-value"
    }

    /// The rule that is broken.
    package var rule: Rule
    /// The topic.
    package var topic: String
    /// Where in the contract.
    package var place: ContractPlace
    /// Why it matters.
    package var reason: String
    /// What to do about it.
    package var remedy: String

    /// Any finding.
    package init(
        _ rule: Rule, topic: String, _ place: ContractPlace, reason: String, remedy: String
    ) {
        self.rule = rule
        self.topic = topic
        self.place = place
        self.reason = reason
        self.remedy = remedy
    }
}
