import Synchronization
public import Tally
public import TallyGroups
public import TallyTransactions

/// What an engine keeps in `state.db`: consumer groups with their offsets, and transactions.
///
/// A data directory's database is opened once in a process: a projection of the same directory
/// takes ``database``, too.
///
/// Thread rule: safe to share. All calls of the stores block.
public final class SQLiteState: EngineState {
    /// The database that both stores are in.
    public let database: StateDatabase
    /// Groups and their offsets.
    public let offsets: any OffsetStore
    /// Transactional ids, the terms of coordinators, and producer ids.
    public let transactions: any TransactionStore

    private let topics = TopicIdentities()

    private init(_ database: StateDatabase) {
        self.database = database
        offsets = SQLiteOffsetStore(database, topics: topics)
        transactions = SQLiteTransactionStore(database)
    }

    /// Opens `state.db` of a data directory for writing; creates it, or brings it up to date, where
    /// needed. Only with the directory's lock held.
    ///
    /// - Throws: as ``StateDatabase/init(directory:)``.
    public static func open(
        inDataDirectory directory: String
    ) throws(StateStoreError) -> SQLiteState {
        SQLiteState(try StateDatabase(directory: directory))
    }

    /// Opens it for reading, beside a process that may be writing to it: the stores load, and
    /// refuse every change.
    ///
    /// - Throws: as ``StateDatabase/init(readingDirectory:)``; `noProjectionYet` where there is no
    ///   `state.db`, which means that there are no groups and no transactions either.
    public static func read(
        inDataDirectory directory: String
    ) throws(StateStoreError) -> SQLiteState {
        SQLiteState(try StateDatabase(readingDirectory: directory))
    }

    /// Has the store of offsets ask `identify` which topic has a name now. From then on offsets are
    /// stored with the topic's id, and those of a topic that was deleted do not count for another
    /// of the same name. To be said before groups are loaded; `identify` is called on whichever
    /// thread uses the store, gives nil where it does not know, and must not call the store.
    public func identifyTopics(by identify: @escaping @Sendable (_ topic: String) -> TopicID?) {
        topics.set(identify)
    }

    /// Closes the database. Later calls of the stores fail.
    ///
    /// - Throws: as ``StateDatabase/close()``.
    public func close() throws(StateStoreError) { try database.close() }
}

extension EngineStateFactory {
    /// Groups, offsets and transactions are kept in `state.db` of the data directory.
    ///
    /// ```swift
    /// var configuration = EngineConfiguration()
    /// configuration.state = .sqlite
    /// ```
    public static let sqlite = EngineStateFactory { directory in
        try SQLiteState.open(inDataDirectory: directory)
    }
}

extension Engine {
    /// The database of an engine that was opened with ``EngineStateFactory/sqlite``; nil for
    /// others. A projection of the same directory takes it.
    public var stateDatabase: StateDatabase? { (stateOfEngine as? SQLiteState)?.database }
}

/// Which topic has a name now, as far as somebody has said how to find out. Safe to share.
final class TopicIdentities: Sendable {
    /// Not the closure itself: a mutex of closures wraps its content once more with each access,
    /// until a call of it has used up the stack.
    private struct State {
        var identify: (@Sendable (String) -> TopicID?)?
    }

    private let state = Mutex(State())

    func set(_ identify: @escaping @Sendable (String) -> TopicID?) {
        state.withLock { $0.identify = identify }
    }

    /// The id as text, or nil where nobody knows.
    func text(of topic: String) -> String? {
        // Called outside of the lock: it may take locks of the engine's.
        state.withLock { $0.identify }?(topic)?.description
    }
}
