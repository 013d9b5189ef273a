public import TallyGroups
public import TallyLog
public import TallyTransactions

/// Where an engine keeps what is no log: groups, their offsets, and transactions.
///
/// The engine opens it behind the directory's lock, uses its stores from one thread at a time, and
/// closes it. `TallyStateStore` has one in SQLite.
public protocol EngineState: Sendable {
    /// Groups and their offsets.
    var offsets: any OffsetStore { get }
    /// Transactional ids and what becomes of their transactions.
    var transactions: any TransactionStore { get }

    /// Has the store of offsets ask which topic has a name now, so that what it knows of a deleted
    /// topic does not count for another of the name. Said once, before groups are loaded.
    func identifyTopics(by identify: @escaping @Sendable (_ topic: String) -> TopicID?)

    /// Closes it. Later calls of the stores fail.
    func close() throws
}

/// How an engine comes by its state. A value type.
public struct EngineStateFactory: Sendable {
    let open: @Sendable (_ directory: String) throws -> any EngineState

    /// - Parameter open: opens the state of a data directory; blocks, and may throw.
    public init(_ open: @escaping @Sendable (_ directory: String) throws -> any EngineState) {
        self.open = open
    }

    /// Nothing is kept: groups and offsets are forgotten with the engine. For tests, and for
    /// applications that keep their positions themselves.
    public static let inMemory = EngineStateFactory { _ in InMemoryState() }
}

/// State that is forgotten with the engine.
private struct InMemoryState: EngineState {
    let offsets: any OffsetStore = InMemoryOffsetStore()
    let transactions: any TransactionStore = InMemoryTransactionStore()

    func identifyTopics(by identify: @escaping @Sendable (_ topic: String) -> TopicID?) {}
    func close() {}
}
