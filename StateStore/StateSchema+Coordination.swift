/// The tables of consumer groups and of transactions, which migration `002-coordination` brings.
extension StateSchema {
    static let groupTables = """
        CREATE TABLE consumer_group (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            generation INTEGER NOT NULL,
            protocolType TEXT,
            emptySince INTEGER
        ) STRICT;
        CREATE TABLE group_offset (
            consumerGroup INTEGER NOT NULL REFERENCES consumer_group (id),
            topic TEXT NOT NULL,
            partition INTEGER NOT NULL,
            topicId TEXT,
            offset INTEGER NOT NULL,
            leaderEpoch INTEGER NOT NULL,
            metadata BLOB NOT NULL,
            committedAt INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (consumerGroup, topic, partition)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE pending_transaction (
            id INTEGER PRIMARY KEY,
            consumerGroup INTEGER NOT NULL REFERENCES consumer_group (id),
            producerId INTEGER NOT NULL,
            producerEpoch INTEGER NOT NULL,
            UNIQUE (consumerGroup, producerId)
        ) STRICT;
        CREATE TABLE pending_offset (
            pendingTransaction INTEGER NOT NULL REFERENCES pending_transaction (id),
            topic TEXT NOT NULL,
            partition INTEGER NOT NULL,
            topicId TEXT,
            offset INTEGER NOT NULL,
            leaderEpoch INTEGER NOT NULL,
            metadata BLOB NOT NULL,
            committedAt INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            PRIMARY KEY (pendingTransaction, topic, partition)
        ) STRICT, WITHOUT ROWID;
        """

    static let transactionTables = """
        CREATE TABLE transactional_id (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            producerId INTEGER NOT NULL,
            producerEpoch INTEGER NOT NULL,
            previousProducerId INTEGER,
            previousProducerEpoch INTEGER,
            nextProducerId INTEGER,
            nextProducerEpoch INTEGER,
            timeoutMilliseconds INTEGER NOT NULL,
            state TEXT NOT NULL,
            startedAt INTEGER,
            updatedAt INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE transaction_partition (
            transactionalId INTEGER NOT NULL REFERENCES transactional_id (id),
            topic TEXT NOT NULL,
            partition INTEGER NOT NULL,
            PRIMARY KEY (transactionalId, topic, partition)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE transaction_group (
            transactionalId INTEGER NOT NULL REFERENCES transactional_id (id),
            name TEXT NOT NULL,
            PRIMARY KEY (transactionalId, name)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE transaction_coordinator (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            nextEpoch INTEGER NOT NULL,
            nextProducerId INTEGER NOT NULL
        ) STRICT;
        INSERT INTO transaction_coordinator (id, nextEpoch, nextProducerId) VALUES (1, 0, 0);
        """
}
