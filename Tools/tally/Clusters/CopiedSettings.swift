import Tally
import TallyClient

/// The configuration of a topic that is copied: what is in force where it comes from, as far as
/// Tally has such settings.
struct CopiedSettings: Sendable {
    private(set) var configuration = TopicConfiguration()
    /// What is to be said about it.
    private(set) var notes: [String] = []

    /// Asks the cluster. What is the default there and here is not stored.
    static func of(_ topic: String, in cluster: ClusterClient) async throws -> CopiedSettings {
        do {
            return CopiedSettings(topic, try await cluster.settings(ofTopic: topic))
        } catch ClientError.unsupportedVersion {
            var settings = CopiedSettings()
            // Or a week's retention, which nobody has asked for, would take what is copied.
            try settings.configuration.set(TopicSetting.retentionMilliseconds.rawValue, to: "-1")
            settings.notes = [
                "The cluster does not tell the settings of topic \(topic): it keeps its records "
                    + "for ever here (retention.ms=-1)."
            ]
            return settings
        }
    }

    private init() {}

    private init(_ topic: String, _ told: [ToldSetting]) {
        var unknown: [String] = []
        for setting in told.sorted(by: { $0.name < $1.name }) {
            guard let value = setting.value, !setting.name.hasPrefix("tally.") else { continue }
            guard let known = TopicSetting(rawValue: setting.name) else {
                if setting.isOfTopic { unknown.append(setting.name) }
                continue
            }
            guard value != known.defaultValue else { continue }
            do {
                try configuration.set(setting.name, to: value)
            } catch {
                notes.append("Topic \(topic): \(error)")
            }
        }
        if !unknown.isEmpty {
            notes.append(
                "Topic \(topic) has settings there that Tally does not have: "
                    + unknown.joined(separator: ", ") + ".")
        }
    }
}
