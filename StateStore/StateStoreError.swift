public import Tally

/// What can go wrong with `state.db` or with a projection that lives in it.
///
/// A malformed *event* is none of these: it becomes a row of the dead-letter table. Each error says
/// in its description what happened and what to do about it.
public enum StateStoreError: Error, Hashable, Sendable {
    /// There is no `state.db` at `path`: nothing was ever projected here.
    case noProjectionYet(path: String)
    /// The database was written by a newer version, which applied `migrations` unknown to this one.
    case newerSchema(path: String, migrations: [String])
    /// The database was written by an older version and is open for reading only, so that it
    /// cannot be brought up to date here.
    case olderSchema(path: String, missing: [String])
    /// The file is not a database, or a damaged one. `state.db` can be deleted: projections are
    /// rebuilt, and what groups had committed is lost.
    case corrupt(path: String, message: String)
    /// Another connection kept the database locked for longer than the busy timeout.
    case locked(path: String)
    /// There is no room left for the database; nothing of the transaction was written.
    case noSpace(path: String)
    /// The operating system refused: permissions, an I/O error, a missing directory.
    case inputOutput(path: String, message: String)
    /// A write was asked of a database that is open for reading only.
    case readOnly(path: String)
    /// Any other error of SQLite, with its extended result code.
    case database(path: String, code: Int32, message: String)
    /// Somebody else advanced the projection of `topic` (or rebuilt it) since this writer last
    /// read it. Nothing was written; open the projection again and resume from its positions.
    case anotherWriter(topic: String)
    /// The topic's first events are gone (its log starts at `logStart`) and there is no stored
    /// position to go on from: sums over what is left would be wrong numbers.
    case baselineMissing(topic: String, partition: Int32, logStart: Offset)
    /// The log no longer has the records between the stored position and `logStart`.
    case behindLogStart(topic: String, partition: Int32, position: Offset, logStart: Offset)
    /// The stored position lies beyond what the log has for its leader epoch: the log lost its
    /// tail, and its offsets may name other records by now. The projection must be rebuilt.
    case positionNotInLog(
        topic: String, partition: Int32, position: Offset, leaderEpoch: LeaderEpoch)
    /// The projection is of another topic that had this name: that one was deleted, and its
    /// offsets say nothing of the one there is now. The projection must be rebuilt.
    case topicReplaced(topic: String, projected: String, found: String)
    /// A rebuild was asked to finish, or to be abandoned, by a projection that is not one.
    case notARebuild(topic: String)
}

extension StateStoreError: CustomStringConvertible {
    /// One or two sentences for a person: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .noProjectionYet(let path):
            "no projection yet: \(path) does not exist; import or project some events first"
        case .newerSchema(let path, let migrations):
            "\(path) was written by a newer version (\(migrations.joined(separator: ", "))); "
                + "use that version, or delete the file: projections are rebuilt from the log, "
                + "consumer groups begin anew"
        case .olderSchema(let path, let missing):
            "\(path) was written by an older version (\(missing.joined(separator: ", ")) missing); "
                + "open it once for writing to bring it up to date"
        case .corrupt(let path, let message):
            "\(path) is damaged (\(message)); put a copy of it back, or delete it, with its -wal "
                + "and -shm files: projections are rebuilt from the log, consumer groups begin anew"
        case .locked(let path):
            "\(path) is locked by another process; try again when its transaction has ended"
        case .noSpace(let path):
            "no space left for \(path); nothing was written; make room and try again"
        case .inputOutput(let path, let message):
            "\(path) cannot be read or written: \(message)"
        case .readOnly(let path):
            "\(path) is open for reading only"
        case .database(let path, let code, let message):
            "\(path): SQLite error \(code): \(message)"
        case .anotherWriter, .notARebuild, .baselineMissing, .behindLogStart, .positionNotInLog,
            .topicReplaced:
            projectionDescription
        }
    }

    private var projectionDescription: String {
        switch self {
        case .anotherWriter(let topic):
            "another writer advanced or rebuilt the projection of \(topic); nothing was written; "
                + "open the projection again and resume from its positions"
        case .baselineMissing(let topic, let partition, let logStart):
            "\(topic)-\(partition) starts at offset \(logStart): its first events are gone, and "
                + "without them or a saved baseline the stock cannot be computed"
        case .behindLogStart(let topic, let partition, let position, let logStart):
            "\(topic)-\(partition) starts at offset \(logStart), and the projection stands at "
                + "\(position): the events between were deleted before they were applied"
        case .positionNotInLog(let topic, let partition, let position, let epoch):
            "\(topic)-\(partition) does not reach offset \(position) in leader epoch \(epoch): "
                + "the log lost its tail; rebuild the projection"
        case .topicReplaced(let topic, let projected, let found):
            "topic \(topic) was deleted and created again (its id was \(projected) and is now "
                + "\(found)): the projection is of the old one; rebuild the projection"
        case .notARebuild(let topic):
            "the projection of \(topic) was opened as the live one, not as a rebuild"
        default:
            "unexpected"
        }
    }
}
