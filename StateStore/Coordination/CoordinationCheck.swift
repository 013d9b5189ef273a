import GRDB
import Tally
import TallyTransactions

/// The rules that hold within and between the tables of groups and of transactions. Used inside one
/// database access.
struct CoordinationCheck {
    private let connection: Database

    init(_ connection: Database) { self.connection = connection }

    /// One line for each thing found wrong.
    func problems() throws -> [String] {
        var problems = try Self.rules.flatMap { rule in
            try String.fetchAll(connection, sql: rule.sql).map { "\($0): \(rule.problem)" }
        }
        problems += try SQLiteTransactionStore.load(connection).flatMap { $0.verify() }
        let counters = try Int.fetchOne(
            connection, sql: "SELECT COUNT(*) FROM transaction_coordinator")
        if counters != 1 { problems.append("transaction_coordinator has not one row") }
        return problems
    }

    /// Queries that name what breaks a rule.
    private static let rules: [(sql: String, problem: String)] = [
        (
            "SELECT name FROM consumer_group WHERE generation < 0 OR name = ''",
            "a group without a name or of a negative generation"
        ),
        (
            """
            SELECT topic || '-' || partition FROM group_offset
                WHERE offset < 0 OR leaderEpoch < -1 OR partition < 0
            """,
            "a committed offset or leader epoch that no log has"
        ),
        (
            """
            SELECT topic || '-' || partition FROM pending_offset
                WHERE offset < 0 OR leaderEpoch < -1 OR partition < 0
            """,
            "a pending offset or leader epoch that no log has"
        ),
        (
            """
            SELECT name FROM transactional_id WHERE producerId < 0 OR producerId >=
                (SELECT CASE nextProducerId WHEN 0 THEN 1 << 62 ELSE nextProducerId END
                    FROM transaction_coordinator)
            """,
            "a producer id that was not given out yet"
        ),
        (
            """
            SELECT name FROM transactional_id
                WHERE (previousProducerId IS NULL) <> (previousProducerEpoch IS NULL)
                OR (nextProducerId IS NULL) <> (nextProducerEpoch IS NULL)
            """,
            "half of a producer's identity"
        ),
    ]
}
