import Tally
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
}
