import Tally
import TallyTransactions
import TallyWire

extension Broker {
    /// A coordinator at another member has decided about transactions that wrote here.
    func writeTransactionMarkers(
        _ request: WriteTransactionMarkersRequest, _ context: Context
    ) async -> WriteTransactionMarkersResponse? {
        var response = WriteTransactionMarkersResponse()
        for marker in request.markers {
            var answer = WriteTransactionMarkersResponse.Producer()
            answer.producerID = marker.producerID
            for topic in marker.topics {
                var result = WriteTransactionMarkersResponse.Topic()
                result.name = topic.name
                for index in topic.partitions {
                    var partition = WriteTransactionMarkersResponse.Partition()
                    partition.partitionIndex = index
                    partition.errorCode = await write(
                        marker, to: TopicPartition(topic: topic.name, partition: index))
                    result.partitions.append(partition)
                }
                answer.topics.append(result)
            }
            response.markers.append(answer)
        }
        return response
    }

    private func write(
        _ marker: WriteTransactionMarkersRequest.Marker, to partition: TopicPartition
    ) async -> ErrorCode {
        do {
            try checkLeads(
                try engine.partition(partition.partition, of: partition.topic), clientEpoch: -1)
        } catch {
            return ErrorCode(error)
        }
        switch await engine.write(TransactionMarker(marker), to: partition) {
        case .done: return .none
        case .refused: return .transactionCoordinatorFenced
        case .failed: return .requestTimedOut
        }
    }
}

extension TransactionMarker {
    /// The marker as it was sent.
    fileprivate init(_ marker: WriteTransactionMarkersRequest.Marker) {
        self.init(
            didCommit: marker.isCommit, producerID: marker.producerID,
            producerEpoch: marker.producerEpoch, coordinatorEpoch: marker.coordinatorEpoch,
            order: marker.order.map { Order(attempt: $0.attempt, $0.leaderEpoch) })
    }
}

extension TransactionMarker.Order {
    fileprivate init(attempt: Int64, _ leaderEpoch: Int32) {
        self.init(
            attempt: attempt, leaderEpoch: leaderEpoch < 0 ? nil : LeaderEpoch(leaderEpoch))
    }
}
