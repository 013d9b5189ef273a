import TallyLog
import TallyRecords
import TallyTransactions

extension World {
    /// What must hold of transactions once the cluster has recovered.
    func checkTransactions() {
        guard internalPartitions[.transactionState] != nil else { return }
        var shown: [Int: [Int: Int]] = [:]
        for partition in 0..<dataPartitionCount {
            checkMarkers(of: partition)
            for number in checkReading(of: partition) {
                shown[number, default: [:]][partition, default: 0] += 1
            }
        }
        for number in 1...max(history.transactions.count, 1) {
            check(number, shown: shown[number] ?? [:])
        }
        checkOpenTransactions()
    }

    /// No marker lies between the records of a transaction.
    private func checkMarkers(of partition: Int) {
        var begun: [Int64: Int] = [:]
        var ended: Set<Int> = []
        for record in leader(of: partition)?.log.all ?? [] where record.isTransactional {
            if record.marker != nil {
                if let number = begun.removeValue(forKey: record.producer.id) {
                    ended.insert(number)
                }
            } else if case .data(let number) = record.content {
                begun[record.producer.id] = number
                guard ended.contains(number) else { continue }
                history.violate(
                    .markersEndTheirOwn,
                    "transaction \(number) goes on in \(partition) behind a marker: \(record)")
            }
        }
    }

    /// What readers of committed transactions are shown of a partition, by the numbers of the
    /// transactions: as the markers in the log have it, and not otherwise.
    private func checkReading(of partition: Int) -> [Int] {
        guard let log = leader(of: partition)?.log else { return [] }
        let records = log.all
        var reader = AbortedTransactions()
        for (index, record) in records.enumerated() {
            reader.note(record.header(at: Offset(Int64(index))), control: record.marker)
        }
        let end = log.lastStableOffset()
        if end < log.highWatermark {
            history.violate(
                .transactionsEnd,
                "readers of committed transactions stop at \(end) of \(partition), and the high "
                    + "watermark is \(log.highWatermark)")
        }
        let batch = ConsumedBatch(
            records: records, highWatermark: log.highWatermark, epoch: .none,
            aborted: log.aborted(in: .zero..<end))
        var numbers: [Int] = []
        for (index, record) in records.enumerated() {
            guard case .data(let number) = record.content else { continue }
            let offset = Offset(Int64(index))
            let isShown = offset < end && !batch.hides(record, at: offset)
            let mayBeShown = reader.shows(record.header(at: offset), to: .readCommitted)
            if isShown, !mayBeShown {
                history.violate(.undecidedIsHidden, "\(offset) of \(partition): \(record)")
            }
            if history.shown[partition][offset] != nil, !mayBeShown {
                history.violate(
                    .undecidedIsHidden, "\(offset) of \(partition) was shown: \(record)")
            }
            if isShown, record.isTransactional { numbers.append(number) }
        }
        return numbers
    }

    /// All or nothing of a transaction is shown, and what its client was told of.
    private func check(_ number: Int, shown: [Int: Int]) {
        let transactions = history.transactions
        let expected = transactions.records[number] ?? [:]
        switch transactions.ends[number] {
        case .commit where shown != expected:
            history.violate(
                .committedIsShown,
                "transaction \(number) is committed: \(expected) of its records were "
                    + "acknowledged, by partition, and \(shown) are shown")
        case .abort where !shown.isEmpty:
            history.violate(
                .undecidedIsHidden, "transaction \(number) is aborted, and shown: \(shown)")
        case nil where !shown.isEmpty && shown != expected:
            history.violate(
                .committedIsShown,
                "transaction \(number) is shown in part: \(shown) of \(expected)")
        default: break
        }
    }

    /// Whatever is open is known to the coordinator, which will end it.
    private func checkOpenTransactions() {
        guard let partition = internalPartitions[.transactionState],
            let coordinator = leader(of: partition)?.member.transactions
        else { return }
        for partition in 0..<partitionCount {
            for open in leader(of: partition)?.log.openTransactions() ?? [] {
                let isKnown = coordinator.records.contains { record in
                    record.producer.id == open.producerID && !record.partitions.isEmpty
                        && record.partitions.contains(place(of: partition))
                }
                if !isKnown {
                    history.violate(
                        .transactionsEnd,
                        "producer \(open.producerID)/\(open.epoch) has a transaction in "
                            + "\(partition) that nobody will end")
                }
            }
        }
    }
}
