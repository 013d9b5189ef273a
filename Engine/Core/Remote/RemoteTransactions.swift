package import TallyGroups
package import TallyRecords
package import TallyTransactions

/// The transactions of one transactional id at a cluster, one attempt of a request at a time: who
/// asks tries again. Thread rule: any task.
package protocol RemoteTransactions: AnyObject, Sendable {
    /// For how long what may go better later is tried again, in milliseconds.
    var limitMilliseconds: Int64 { get }

    /// Takes the transactional id over: fences who had it, and aborts what that left open.
    ///
    /// - Parameter current: who the producer is already, for a new epoch of the same one (KIP-360):
    ///   refused where another producer has taken over since. Nil for one that begins.
    func initProducer(
        timeoutMilliseconds: Int32, current: ProducerIdentity?
    ) async throws(RemoteTransactionFailure) -> ProducerIdentity

    /// Has partitions take part in the transaction, and begins it where they are the first.
    func addPartitions(
        _ partitions: [TopicPartition], _ producer: ProducerIdentity
    ) async throws(RemoteTransactionFailure)

    /// Has a group's offsets take part, as ``addPartitions(_:_:)``.
    func addGroup(
        _ group: String, _ producer: ProducerIdentity
    ) async throws(RemoteTransactionFailure)

    /// Hands a group's offsets over, to be committed with the transaction; those that the group
    /// refused, with the reasons.
    func commitOffsets(
        _ request: OffsetCommitRequest, _ producer: ProducerIdentity
    ) async throws(RemoteTransactionFailure) -> [TopicPartition: GroupError]

    /// Ends the transaction. Ending it once more in the same way succeeds.
    func end(
        _ decision: TransactionDecision, _ producer: ProducerIdentity
    ) async throws(RemoteTransactionFailure)

    /// Tries once to append a batch of the transaction.
    func append(_ batch: RemoteBatch) async -> RemoteAppend

    /// Aborts what is open, as far as that can be done in some seconds, and ends its connections.
    func close() async
}

/// Why an attempt has failed. A value.
package struct RemoteTransactionFailure: Error {
    /// What an engine would say.
    package var error: TransactionError
    /// Whether the same request may succeed later.
    package var isRetriable: Bool
    /// Whether it may have been carried out, or may be yet.
    package var isInDoubt: Bool

    /// A failure from its parts.
    package init(_ error: TransactionError, isRetriable: Bool, isInDoubt: Bool) {
        self.error = error
        self.isRetriable = isRetriable
        self.isInDoubt = isInDoubt
    }
}
