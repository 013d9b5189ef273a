import GRDB

/// A prepared statement whose parameters are bound one after the other, without the array of
/// boxed arguments that GRDB would make for every execution.
///
/// Valid inside the database access that made it. `begin`, one `bind` a parameter, `execute`.
struct BoundStatement {
    private let statement: Statement
    private var index: CInt = 0
    private var failure: CInt = 0

    /// Takes the statement for `sql` from the connection's cache of prepared statements.
    init(_ database: Database, sql: String) throws {
        statement = try database.cachedStatement(sql: sql)
    }

    /// Forgets the bindings of the last execution; all parameters are NULL until they are bound.
    mutating func begin() {
        statement.setUncheckedArguments(StatementArguments())
        index = 0
        failure = 0
    }

    /// Binds the next parameter.
    @inline(__always)
    mutating func bind(_ value: Int64) {
        index &+= 1
        let code = unsafe value.bind(to: statement.sqliteStatement, at: index)
        if code != 0 { failure = code }
    }

    /// Binds the next parameter.
    @inline(__always)
    mutating func bind(_ value: Int32) { bind(Int64(value)) }

    /// Binds the next parameter, to NULL for nil.
    @inline(__always)
    mutating func bind(_ value: Int64?) {
        guard let value else { return index &+= 1 }
        bind(value)
    }

    /// Binds the next parameter, to NULL for nil. The text must not contain NUL characters.
    mutating func bind(_ value: String?) {
        index &+= 1
        guard let value else { return }
        let code = unsafe value.bind(to: statement.sqliteStatement, at: index)
        if code != 0 { failure = code }
    }

    /// Executes the statement, which must not return rows.
    func execute() throws {
        guard failure == 0 else { throw DatabaseError(resultCode: ResultCode(rawValue: failure)) }
        try statement.execute()
    }
}
