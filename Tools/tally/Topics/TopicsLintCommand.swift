import ArgumentParser
import Tally
import TallyContracts

/// `tally topics lint`.
struct TopicsLintCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lint",
        abstract: "Hold a contract to the checklist of a sound topic.",
        discussion: """
            Each finding has its rule, where it stands, why it matters and what to do. The rules: \
            \(ContractFinding.Rule.allCases.map(\.rawValue).joined(separator: ", ")).

            --json prints an object a line: rule, topic, file, line, path, reason, remedy.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The contract: an AsyncAPI 3.0 document with Kafka bindings.")
    var contract: String

    @OptionGroup var rows: RowOptions

    func run() async throws {
        try await printingRows { streams in
            let contract = try ContractFile.read(contract)
            let findings = contract.findings + contract.topics.flatMap(Self.settingFindings)
            for finding in findings {
                if rows.json {
                    try streams.output.write(finding.fields)
                } else {
                    try streams.output.write(
                        line: "\(finding.place): \(finding.rule.rawValue): topic \(finding.topic)")
                    try streams.output.write(line: "  why: \(finding.reason)")
                    try streams.output.write(line: "  do:  \(finding.remedy)")
                }
            }
            let topics = Format.count(contract.topics.count, "topic")
            guard findings.isEmpty else {
                throw CommandFailure("\(Format.count(findings.count, "finding")) in \(topics)")
            }
            if !rows.json { try streams.note("\(topics), no findings.") }
        }
    }

    /// Values that the engine would refuse.
    private static func settingFindings(_ topic: TopicContract) -> [ContractFinding] {
        do {
            _ = try topic.configuration()
            return []
        } catch {
            // The name has a rule of its own.
            guard error.place != topic.place || (try? TopicName.check(topic.name)) != nil else {
                return []
            }
            return [
                ContractFinding(
                    .settingValue, topic: topic.name, error.place, reason: error.reason,
                    remedy: "state a value that is allowed, or leave the setting to its default")
            ]
        }
    }
}

extension ContractFinding {
    fileprivate func fields(_ line: inout JSONLine) {
        line.field("rule", rule.rawValue)
        line.field("topic", topic)
        line.field("file", place.file)
        line.field("line", orNull: place.line)
        line.field("path", place.path)
        line.field("reason", reason)
        line.field("remedy", remedy)
    }
}
