import TallyGroups
import TallyRecords
import TallyReplication
import TallyTransactions

extension SimulatedMember {
    /// The replica of an internal topic's partition; nil where there is no such topic.
    func replica(of topic: InternalTopic) -> SimulatedReplica? {
        world.internalPartitions[topic].map { replicas[$0] }
    }

    /// What it says the time is to people.
    var wallClock: Timestamp {
        Timestamp(milliseconds: 1_700_000_000_000 + wallClockOffset + localNow.milliseconds)
    }

    var groupTime: GroupTime {
        GroupTime(
            instant: GroupInstant(milliseconds: localNow.milliseconds), timestamp: wallClock)
    }

    func startCoordinators() {
        transactions = replica(of: .transactionState).map { SimulatedTransactions($0) }
        groups = replica(of: .consumerOffsets).map { SimulatedGroups($0) }
    }

    func tickCoordinators() {
        transactions?.tick()
        groups?.tick()
    }

    /// Leads a partition from now on. Coordinators hear of it some moments later, in order, as in
    /// the engine.
    func lead(_ partition: Int, in epoch: LeaderEpoch) {
        tellCoordinators(of: partition) {
            $0.lead(in: epoch)
        } groups: {
            $0.lead(in: epoch)
        }
    }

    /// Leads a partition no longer.
    func resign(_ partition: Int, next epoch: LeaderEpoch) {
        tellCoordinators(of: partition) {
            $0.resign(next: epoch)
        } groups: {
            $0.resign(next: epoch)
        }
    }

    private func tellCoordinators(
        of partition: Int, _ transactions: @escaping (SimulatedTransactions) -> Void,
        groups: @escaping (SimulatedGroups) -> Void
    ) {
        guard partition >= world.dataPartitionCount else { return }
        after(coordinatorDelay) { [self] in
            if partition == world.internalPartitions[.transactionState] {
                self.transactions.map(transactions)
            } else {
                self.groups.map(groups)
            }
        }
    }

    /// Writes a transaction's marker in a partition that is led here.
    func write(
        _ marker: TransactionMarker, to partition: Int,
        answer: @escaping (TransactionWorkOutcome) -> Void
    ) {
        if partition == world.internalPartitions[.consumerOffsets], let groups {
            groups.write(marker, answer: answer)
        } else {
            replicas[partition].write(marker, answer: answer)
        }
    }

    /// Asks the coordinator of a transaction, here or at another member, whether a partition takes
    /// part in it.
    func verify(
        _ place: TopicPartition, in transactionalID: String, _ producer: ProducerIdentity,
        then: @escaping (Bool) -> Void
    ) {
        guard let partition = world.internalPartitions[.transactionState],
            let coordinator = news.partitions[partition]?.state.leader
        else { return then(false) }
        var isTold = false
        let tell = { (isPart: Bool) in
            if !isTold { then(isPart) }
            isTold = true
        }
        let sender = id
        send(to: coordinator) { other in
            other.transactions?.ask { (coordinator, _) throws(TransactionError) in
                try coordinator.verify(place, in: transactionalID, producer: producer)
            } answer: { result in
                var isPart = false
                if case .success = result { isPart = true }
                other.send(to: sender) { _ in tell(isPart) }
            }
        }
        after(300) { tell(false) }
    }
}
