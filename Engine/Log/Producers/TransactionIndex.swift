import Synchronization
import TallyFiles
import TallyRecords

/// The aborted transactions whose markers lie in one segment: its `.txnindex` file, and what is
/// not in the file yet. Guarded by the segment.
struct TransactionIndex: Sendable {
    /// Rising by marker; nil until the file was looked at.
    var entries: [AbortedTransaction]?
    /// How many of them are in the file, on stable storage.
    var writtenCount = 0

    /// That of a new segment.
    static let empty = TransactionIndex(entries: [])
}

extension Segment {
    /// The aborted transactions whose markers lie in this segment, rising.
    ///
    /// - Parameter limit: where the segment ends; an entry behind it shows another's file.
    /// Throws ``LogError/corruption(_:)`` where the file is not sound.
    func abortedTransactions(
        below limit: Offset = Offset(.max)
    ) throws(LogError) -> [AbortedTransaction] {
        try transactions.withLock { index throws(LogError) in
            if let entries = index.entries { return entries }
            let entries = try readTransactionIndex()
            if let last = entries.last, last.lastOffset >= limit {
                throw malformed(
                    at: (entries.count - 1) * TransactionIndexEntry.byteCount,
                    "the entry names offset \(last.lastOffset), but the segment ends at \(limit)")
            }
            index.entries = entries
            index.writtenCount = entries.count
            return entries
        }
    }

    /// Adds the transaction that a marker just ended.
    func noteAborted(_ transaction: AbortedTransaction) throws(LogError) {
        _ = try abortedTransactions()
        transactions.withLock { $0.entries?.append(transaction) }
    }

    /// Puts entries that are not in the file there, on stable storage. Called by one thread at a
    /// time.
    func writeTransactionIndex() throws(LogError) {
        let pending = transactions.withLock { index in
            (written: index.writtenCount, entries: index.entries ?? [])
        }
        guard pending.written < pending.entries.count else { return }
        do {
            if pending.written == 0 {
                try replaceTransactionIndex(with: pending.entries)
            } else {
                let file = try environment.fileSystem.open(transactionIndexPath, .write)
                try file.write(
                    all: TransactionIndexEntry.encode(pending.entries[pending.written...]),
                    at: Int64(pending.written * TransactionIndexEntry.byteCount))
                try file.sync()
            }
        } catch {
            throw .file(error)
        }
        transactions.withLock { $0.writtenCount = pending.entries.count }
    }

    /// Makes these the segment's entries, in memory and in the file, where they are not yet.
    func setTransactionIndex(_ entries: [AbortedTransaction]) throws(LogError) {
        let found = try? readTransactionIndex()
        do {
            if found != entries { try replaceTransactionIndex(with: entries) }
        } catch {
            throw .file(error)
        }
        transactions.withLock {
            $0 = TransactionIndex(entries: entries, writtenCount: entries.count)
        }
    }

    /// Builds the entries again, unless somebody else has: markers that come meanwhile wait, and
    /// are entered behind them.
    func rebuildTransactionIndex(
        _ build: () throws(LogError) -> [AbortedTransaction]
    ) throws(LogError) -> [AbortedTransaction] {
        try transactions.withLock { index throws(LogError) in
            if let entries = index.entries { return entries }
            let entries = try build()
            do throws(FileError) {
                try replaceTransactionIndex(with: entries)
            } catch {
                throw .file(error)
            }
            index = TransactionIndex(entries: entries, writtenCount: entries.count)
            return entries
        }
    }

    private var transactionIndexPath: String {
        joinPath(directory, SegmentName.file(baseOffset, .transactionIndex))
    }

    /// Kafka has the file only where something was aborted.
    private func replaceTransactionIndex(
        with entries: [AbortedTransaction]
    ) throws(FileError) {
        let files = environment.fileSystem
        if entries.isEmpty {
            if try files.information(transactionIndexPath) != nil {
                try files.remove(transactionIndexPath)
            }
        } else {
            try files.replace(
                transactionIndexPath, with: TransactionIndexEntry.encode(entries[...]))
        }
    }

    /// The entries in the file; none where there is no file.
    private func readTransactionIndex() throws(LogError) -> [AbortedTransaction] {
        let files = environment.fileSystem
        let limit = TransactionIndexEntry.fileByteCountMax
        let (size, bytes): (Int64, [UInt8]?)
        do {
            size = try files.information(transactionIndexPath)?.byteCount ?? 0
            bytes =
                size > limit
                ? nil : try files.readWhole(transactionIndexPath, byteCountMax: limit)
        } catch {
            throw .file(error)
        }
        guard size <= limit else { throw malformed(at: limit, "the file is too large") }
        guard let bytes else { return [] }
        // Nobody leaves an empty one: it was emptied.
        guard !bytes.isEmpty else { throw malformed(at: 0, "the file is empty") }
        var entries: [AbortedTransaction] = []
        var position = 0
        while position + TransactionIndexEntry.byteCount <= bytes.count {
            let entry = TransactionIndexEntry(decoding: bytes.rawSpan, at: position)
            let said = entry.transaction
            guard entry.version == TransactionIndexEntry.currentVersion,
                .zero <= said.firstOffset, said.firstOffset < said.lastOffset,
                baseOffset <= said.lastOffset,
                said.lastOffset > entries.last?.lastOffset ?? Offset(-1)
            else { throw malformed(at: position, "the entry is no aborted transaction") }
            entries.append(said)
            position += TransactionIndexEntry.byteCount
        }
        guard position == bytes.count else {
            throw malformed(
                at: position, "the last \(bytes.count - position) bytes are no whole entry")
        }
        return entries
    }

    private func malformed(at position: Int, _ reason: String) -> LogError {
        .corruption(
            Corruption(
                file: transactionIndexPath, position: FilePosition(position), reason: reason))
    }
}
