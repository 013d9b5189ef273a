import GRDB

/// Runs `body` and turns SQLite's errors into this package's, naming the file.
func translatingErrors<Value>(
    path: String, _ body: () throws -> Value
) throws(StateStoreError) -> Value {
    do {
        return try body()
    } catch let error as StateStoreError {
        throw error
    } catch let error as DatabaseError {
        throw StateStoreError(error, path: path)
    } catch let error as RowDecodingError {
        // No column of ours can hold it, unless somebody or something else wrote it.
        throw .corrupt(path: path, message: error.description)
    } catch {
        throw .database(path: path, code: -1, message: String(describing: error))
    }
}

extension StateStoreError {
    /// The error of ours that stands for an error of SQLite.
    init(_ error: DatabaseError, path: String) {
        let message = error.message ?? "no message"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT:
            self = .corrupt(path: path, message: message)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            self = .locked(path: path)
        case .SQLITE_FULL:
            self = .noSpace(path: path)
        case .SQLITE_READONLY:
            self = .readOnly(path: path)
        case .SQLITE_IOERR, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH, .SQLITE_NOLFS:
            self = .inputOutput(path: path, message: message)
        default:
            self = .database(
                path: path, code: error.extendedResultCode.rawValue, message: message)
        }
    }
}
