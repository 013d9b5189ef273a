import TallyLog
import TallyRecords
import TallyReplication
import TallyTransactions

extension SimulatedReplica {
    /// A producer's record, for `acks=all`.
    ///
    /// - Parameter transactionalID: whose transaction it is part of; nil for none.
    func produce(
        _ record: SimulatedRecord, in transactionalID: String? = nil,
        answer: @escaping (ProduceAnswer) -> Void
    ) {
        guard let transactionalID else { return produce(record, verified: nil, answer: answer) }
        guard case .leader = role, member.isServing else { return answer(.notLeader) }
        let standing = log.standing(of: record.producer)
        if standing.isOpen { return produce(record, verified: standing, answer: answer) }
        // Before the first record of a transaction (KIP-890): one that comes late must not begin a
        // transaction that nobody ends.
        member.verify(
            world.place(of: partition), in: transactionalID,
            ProducerIdentity(id: record.producer.id, epoch: record.producer.epoch)
        ) { [self] isPart in
            guard isPart else { return answer(.refused) }
            produce(record, verified: standing, answer: answer)
        }
    }

    private func produce(
        _ record: SimulatedRecord, verified: TransactionStanding?,
        answer: @escaping (ProduceAnswer) -> Void
    ) {
        let begun = epoch
        do throws(AppendRefusal) {
            let offset = try append(record, verification: verified)
            if world.has(.acknowledgesAlone) { return answer(.stored(offset, epoch)) }
            whenCommitted(before: offset.advanced(by: 1), in: begun) { commitment in
                switch commitment {
                case .committed: answer(.stored(offset, begun))
                case .notNow: answer(.refused)
                case .notLeader: answer(.notLeader)
                }
            }
        } catch {
            switch error {
            case .notLeader: answer(.notLeader)
            case .notNow, .producer(.verificationOutdated): answer(.refused)
            case .producer(let reason): answer(.fenced(reason))
            }
        }
    }

    /// Ends a transaction in this partition, as its coordinator wants it.
    func write(
        _ marker: TransactionMarker, answer: @escaping (TransactionWorkOutcome) -> Void
    ) {
        let begun = epoch
        do throws(AppendRefusal) {
            let offset = try append(marker)
            whenCommitted(before: offset.advanced(by: 1), in: begun) { commitment in
                if case .committed = commitment { answer(.done) } else { answer(.failed) }
            }
        } catch {
            answer(TransactionWorkOutcome(error))
        }
    }

    /// What a consumer may see from an offset on.
    func consume(
        from offset: Offset, in senderEpoch: LeaderEpoch, _ isolation: IsolationLevel
    ) -> ConsumeAnswer {
        guard case .leader(let leader) = role, member.isServing else { return .notLeader }
        do {
            if senderEpoch > leader.epoch { try leader.check(senderEpoch) }
            let highWatermark =
                world.has(.tellsEarly)
                ? leader.highWatermark : try leader.highWatermarkForConsumers()
            var batch = ConsumedBatch(
                records: [], highWatermark: highWatermark, epoch: leader.epoch)
            var end = highWatermark
            if isolation == .readCommitted, !world.has(.tellsUndecided) {
                end = log.lastStableOffset()
                batch.aborted = log.aborted(in: offset..<max(offset, end))
            }
            batch.records = log.records(from: offset, before: end, countMax: 20)
            checkAnswer()
            return .records(batch)
        } catch {
            return .later
        }
    }
}

extension TransactionWorkOutcome {
    /// What it means that a marker could not be appended, as the engine has it.
    init(_ refusal: AppendRefusal) {
        switch refusal {
        case .producer(.markerOutdated), .notLeader, .notNow: self = .failed
        case .producer: self = .refused
        }
    }
}

extension SimulatedRecord {
    /// The marker that tells a partition how a transaction ended.
    init(_ marker: TransactionMarker) {
        self.init(
            producer: BatchProducer(
                id: marker.producerID, epoch: marker.producerEpoch, baseSequence: -1),
            isTransactional: true,
            content: .marker(
                didCommit: marker.didCommit, coordinatorEpoch: marker.coordinatorEpoch))
    }
}
