import Foundation
import Tally
import TallyGroups
import TallyTransactions
import Testing

@testable import TallyStateStore

@Suite("The format's description")
struct FormatTests {
    @Test("its worked example is what one event leaves in the tables")
    func workedExample() throws {
        let directory = try ScratchDirectory()
        let database = try StateDatabase(directory: directory.path)
        let projection = try InventoryProjection.opened(database, topic: "stock")
        let value =
            #"{"eventType":"STOCK_ADJUSTED","quantityDelta":-6,"#
            + #""recordedAt":"2010-12-01T08:26:00Z"}"#
        try projection.apply(TestRecord("United Kingdom:85123A", value), offset: 0)
        try projection.commit()
        let rows = try database.read { connection in
            try [
                "SELECT id || name || topic || generation || revision FROM projection",
                """
                SELECT projection || ' ' || partition || ' ' || nextOffset || ' ' || leaderEpoch
                    || ' ' || stockEvents || ' ' || duplicates || ' ' || deadLetters || ' '
                    || lastRecordedAt FROM projection_position
                """,
                """
                SELECT warehouse || ' ' || item || ' ' || onHand || ' ' || reserved || ' '
                    || available || ' ' || lastEventTime || ' ' || lastOffset || ' ' || events
                    FROM inventory
                """,
            ].map { try String.fetchAll(connection, sql: $0) }
        }
        #expect(
            rows == [
                ["1inventorystock11"], ["1 0 1 0 1 0 0 1291191960000"],
                ["United Kingdom 85123A -6 0 -6 1291191960000 0 1"],
            ])
    }

    @Test("its worked example of a group and a transaction is what is in the tables")
    func coordinationExample() throws {
        let directory = try ScratchDirectory()
        let state = try SQLiteState.open(inDataDirectory: directory.path)
        let now = Timestamp(milliseconds: 1_291_191_960_000)
        var coordinator = try TransactionCoordinator(
            store: state.transactions, producerIDs: ProducerIDBlocks(store: state.transactions),
            earlierProducers: .areGone, now: now)
        var producer: ProducerIdentity
        repeat {
            producer = try coordinator.initProducerID(
                "bill-1", timeoutMilliseconds: 60_000, now: now)
        } while producer.epoch < 4
        try coordinator.addPartitions(
            [TopicPartition(topic: "invoices", partition: 2)], to: "bill-1", producer: producer,
            now: now)
        try coordinator.addGroup("billing", to: "bill-1", producer: producer, now: now)
        let stock = TopicPartition(topic: "stock", partition: 0)
        let offsets = [(Int64(1), "eod"), (5, "")].map { number, note in
            CommittedOffset(
                offset: Offset(number), leaderEpoch: LeaderEpoch(0), metadata: note,
                commitTimestamp: now, sequence: number == 1 ? 1 : 2)
        }
        try state.offsets.apply([
            .metadata(
                group: "billing", StoredGroupMetadata(generation: 3, protocolType: "consumer")),
            .offsets(group: "billing", [stock: offsets[0]]),
            .pendingOffsets(
                group: "billing", producerID: 0, producerEpoch: 4, [stock: offsets[1]]),
        ])
        coordinator.endTransaction(
            "bill-1", producer: producer, .commit, token: TransactionToken(rawValue: 1), now: now)
        let rows = try state.database.read { connection in
            try [
                "id, name, generation, protocolType, emptySince FROM consumer_group",
                """
                consumerGroup, topic, partition, offset, leaderEpoch, hex(metadata), committedAt,
                    sequence FROM group_offset
                """,
                "id, consumerGroup, producerId, producerEpoch FROM pending_transaction",
                "pendingTransaction, topic, partition, offset, sequence FROM pending_offset",
                """
                name, producerId, producerEpoch, previousProducerId, previousProducerEpoch,
                    nextProducerId, state FROM transactional_id
                """,
                "transactionalId, topic, partition FROM transaction_partition",
                "transactionalId, name FROM transaction_group",
                "nextEpoch, nextProducerId FROM transaction_coordinator",
            ].map { query in
                let from = try #require(query.range(of: " FROM "))
                let (columns, table) = (query[..<from.lowerBound], query[from.lowerBound...])
                return try String.fetchAll(
                    connection, sql: "SELECT json_array(\(columns))\(table)")
            }
        }
        #expect(
            rows == [
                [#"[1,"billing",3,"consumer",null]"#],
                [#"[1,"stock",0,1,0,"656F64",1291191960000,1]"#], ["[1,1,0,4]"],
                [#"[1,"stock",0,5,2]"#], [#"["bill-1",0,5,0,4,null,"PrepareCommit"]"#],
                [#"[1,"invoices",2]"#], [#"[1,"billing"]"#], ["[1,1000]"],
            ])
        try state.database.expectSound()
    }
}
