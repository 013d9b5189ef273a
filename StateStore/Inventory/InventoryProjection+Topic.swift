import GRDB
import Tally

extension InventoryProjection {
    /// Says which topic, by identity, the records are from. A topic that is deleted and created
    /// again under the same name has other records at the same offsets; without this, a
    /// projection would go on in the middle of them.
    ///
    /// A live projection that was never told takes the identity; so does a rebuild.
    ///
    /// Errors: `topicReplaced`, and those of every database access.
    package func bind(to topicID: String) throws(StateStoreError) {
        let column = identity.set == .live ? "topicId" : "nextTopicId"
        let id = identity.id
        let known = try database.write { connection in
            try connection.execute(
                sql: "UPDATE projection SET \(column) = ? WHERE id = ? AND \(column) IS NULL",
                arguments: [topicID, id])
            return try String.fetchOne(
                connection, sql: "SELECT \(column) FROM projection WHERE id = ?", arguments: [id])
        }
        guard let known, known != topicID else { return }
        throw .topicReplaced(topic: topic, projected: known, found: topicID)
    }
}
