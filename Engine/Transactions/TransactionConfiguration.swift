/// What the transaction coordinator may be told, under Kafka's names, in milliseconds.
public struct TransactionConfiguration: Hashable, Sendable {
    /// `transaction.max.timeout.ms`: the longest timeout that a producer may ask for.
    public var transactionTimeoutMillisecondsMax: Int32 = 900_000
    /// `transactional.id.expiration.ms`: an id with which nothing was done for so long is
    /// forgotten. Below 1 counts as 1.
    public var idExpirationMilliseconds: Int64 = 604_800_000
    /// How long to wait before a marker that could not be written, or a state that could not be
    /// stored, is tried again. Below 1 counts as 1.
    public var retryPauseMilliseconds: Int64 = 100
    /// Whether producers may outlive the engine, as those do that talk to it over a network: a
    /// transaction without a decision then goes on when the engine is opened again, until its
    /// timeout. Otherwise it is aborted at once, since its producer died with the process.
    public var areProducersRemote = false

    /// Kafka's defaults.
    public init() {}
}
