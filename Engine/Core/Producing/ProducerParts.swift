/// What the accumulators of a producer share.
struct ProducerParts: Sendable {
    var engine: Engine
    var account: ProducerAccount
    var reports: DeliveryReportQueue
    /// Who the producer is to the logs; nil where they do not know it.
    var identity: ProducerIdentity?
    /// Nil where the producer has no transactions.
    var transaction: ProducerTransaction?
}
