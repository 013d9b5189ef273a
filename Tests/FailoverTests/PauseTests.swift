import Foundation
import TallyClient
import TallyRecords
import TallyWire
import Testing

extension FailoverTests {
    @Suite("when members are paused") struct PauseTests {
        /// Sends a batch to a member itself, whoever leads; the error where it answers.
        private func produce(
            on connection: BrokerConnection, _ place: TopicPartition, acks: Int16
        ) async -> ErrorCode? {
            let far = 1_000_000..<1_000_001
            guard let batch = try? Numbers.batch(far, producer: .none) else { return nil }
            let answer = try? await connection.send(
                ProduceRequest(batch, to: place, timeoutMilliseconds: 5000, acks: acks))
            return answer?.responses.first?.partitions.first?.errorCode
        }

        @Test("a leader that was paused for longer than its lease acknowledges nothing afterwards")
        func leader() async throws {
            try await ProcessCluster.with { cluster in
                let traffic = try await Traffic.start(in: cluster)
                let place = TopicPartition(topic: traffic.topic, partition: 0)
                let old = try await cluster.leader(of: traffic.topic, 0)
                let address = BrokerAddress(host: old.host, port: old.port)
                var connections: [BrokerConnection] = []
                for _ in 0..<6 { connections.append(try await .connect(to: address)) }
                try old.pause()
                // They lie before it when it wakes and has heard nothing yet. Its followers are
                // gone, so that only the lease keeps it from acknowledging with acks=1.
                let answers = connections.enumerated().map { index, connection in
                    Task { await produce(on: connection, place, acks: index % 2 == 0 ? 1 : -1) }
                }
                try await cluster.waitUntilLed(traffic.topic, byOthersThan: old.id)
                try await traffic.goesOn()
                old.signal(SIGCONT)
                for answer in answers {
                    let code = await answer.value
                    #expect(code == .notLeaderOrFollower)
                }
                for connection in connections { await connection.close() }
                try await cluster.waitUntilInSync(traffic.topic)
                try await traffic.goesOn()
                // None of what it was sent is there, or numbers would be out of order.
                try await traffic.expectNothingLost()
            }
        }
    }
}
