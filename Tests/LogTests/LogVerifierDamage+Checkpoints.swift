import TallyLog
import TallyRecords

private let first = "00000000000000000000"
private let marked = "00000000000000000015"

// MARK: Transactions, checkpoints

extension LogDamage {
    private static func transactions(
        _ name: String, at position: Int, _ reason: String, isOnly: Bool = true,
        _ apply: @escaping @Sendable (inout [UInt8]) throws -> Void
    ) -> LogDamage {
        LogDamage(
            testDescription: name, partition: "golden-transactions-0", file: marked + ".txnindex",
            position: position, severity: .mendable, reason: reason, isOnly: isOnly
        ) { try $0.edit(marked + ".txnindex", apply) }
    }

    private static func text(
        _ name: String, _ file: String, at position: Int, _ severity: LogProblem.Severity,
        _ reason: String, _ contents: String
    ) -> LogDamage {
        LogDamage(
            testDescription: name, partition: "golden-plain-0", file: file, position: position,
            severity: severity, reason: reason
        ) { try $0.write(Array(contents.utf8), to: file) }
    }

    static let others: [LogDamage] = [
        transactions("a transaction index with another producer", at: 34, "no abort marker") {
            $0[34 + 9] = 9
        },
        transactions("a transaction index with another first offset", at: 34, "begins at 47") {
            $0[34 + 17] = 46
        },
        transactions("a transaction index with a negative offset", at: 34, "no transaction") {
            $0[34 + 10] = 0x80
        },
        transactions(
            "a transaction index with another last offset", at: 34, "no abort marker", isOnly: false
        ) {
            $0[34 + 25] = 53
        },
        transactions("a transaction index with another stable offset", at: 68, "was 65") {
            $0[68 + 33] = 66
        },
        transactions("a transaction index of an unknown version", at: 0, "version 1") {
            $0[1] = 1
        },
        transactions("a transaction index without an entry", at: 68, "offset 64 is missing") {
            $0.removeLast(34)
        },
        transactions("a transaction index with a torn end", at: 68, "no whole entry", isOnly: false)
        {
            $0.removeLast(1)
        },
        LogDamage(
            testDescription: "no transaction index", partition: "golden-transactions-0",
            file: marked + ".txnindex", position: 0, severity: .mendable, reason: "missing"
        ) { try $0.remove(marked + ".txnindex") },
        text(
            "another leader epoch", "leader-epoch-checkpoint", at: 4, .damage, "belongs",
            "0\n1\n3 0\n"),
        text(
            "a leader epoch too early", "leader-epoch-checkpoint", at: 8, .damage, "offset 119",
            "0\n2\n0 0\n1 100\n"),
        text(
            "a leader epoch behind the log", "leader-epoch-checkpoint", at: 8, .damage, "log ends",
            "0\n2\n0 0\n1 500\n"),
        text(
            "a malformed epoch checkpoint", "leader-epoch-checkpoint", at: 0, .damage, "order",
            "0\n1\nx 0\n"),
        text(
            "an empty epoch checkpoint", "leader-epoch-checkpoint", at: 0, .mendable, "empty",
            "0\n0\n"),
        text(
            "malformed partition metadata", "partition.metadata", at: 0, .damage, "topic_id",
            "version: 0\ntopic_id: short"),
        LogDamage(
            testDescription: "a cleaner's left-over", partition: "golden-plain-0",
            file: first + ".log.swap", position: 0, severity: .mendable, reason: "cleaner"
        ) { try $0.write([], to: first + ".log.swap") },
    ]
}
