import TallyRecords
import TallyTransactions

extension ProducerIdentity {
    /// A producer that nobody has seen.
    ///
    /// Ids are drawn from 2^62 and need no register that could be lost. A log remembers those that
    /// wrote to it in the last day; that two among a million are the same has a chance of one in
    /// nine million.
    static func drawn() -> ProducerIdentity {
        ProducerIdentity(id: Int64.random(in: 0..<(1 << 62)), epoch: 0)
    }
}

/// The sequence numbers of one producer in one partition: counted up with each record that the log
/// took, and begun anew with each epoch. A value type.
struct ProducerSequence: Sendable {
    private(set) var identity: ProducerIdentity
    private var next: Int32 = 0

    init(_ identity: ProducerIdentity) { self.identity = identity }

    /// What the next batch says of its producer.
    var batchProducer: BatchProducer {
        BatchProducer(id: identity.id, epoch: identity.epoch, baseSequence: next)
    }

    /// Notes that the log has so many more records.
    mutating func advance(by recordCount: Int) {
        next = Self.after(next, recordCount)
    }

    /// Begins anew: the log has lost what came before, since somebody took back its end.
    mutating func reset() {
        identity =
            identity.epoch == .max
            ? .drawn() : ProducerIdentity(id: identity.id, epoch: identity.epoch + 1)
        next = 0
    }

    /// Sequences go from the largest number to 0.
    private static func after(_ sequence: Int32, _ count: Int) -> Int32 {
        Int32((Int64(sequence) + Int64(count)) & Int64(Int32.max))
    }
}
