import GRDB

extension Row {
    /// The value of a column. Throws where the column holds something else: a damaged database can
    /// hold anything, and GRDB's subscripts would trap on it.
    func value<Value: DatabaseValueConvertible>(_ column: String) throws -> Value {
        try decode(Value.self, forColumn: column)
    }

    /// The value of the column with this number, counted from 0.
    func value<Value: DatabaseValueConvertible & StatementColumnConvertible>(
        at index: Int
    ) throws -> Value {
        try decode(Value.self, atIndex: index)
    }

    /// The number in a column as one of our own kinds of number: an offset, a time, an epoch.
    func value<Value: RawRepresentable>(_ column: String) throws -> Value
    where Value.RawValue: DatabaseValueConvertible {
        let raw: Value.RawValue = try value(column)
        guard let value = Value(rawValue: raw) else { throw Self.fault(column) }
        return value
    }

    /// The same for a column that may be NULL.
    func value<Value: RawRepresentable>(_ column: String) throws -> Value?
    where Value.RawValue: DatabaseValueConvertible {
        let raw: Value.RawValue? = try value(column)
        return try raw.map { raw in
            guard let value = Value(rawValue: raw) else { throw Self.fault(column) }
            return value
        }
    }

    private static func fault(_ column: String) -> DatabaseError {
        DatabaseError(resultCode: .SQLITE_CORRUPT, message: "unexpected value of \(column)")
    }
}
