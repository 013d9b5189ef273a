package import TallyFiles
package import TallyRecords

/// Which leader epoch wrote which offsets: Kafka's `leader-epoch-checkpoint` of one partition.
///
/// A value, owned by the partition's writer. Entries rise in epoch and start offset.
package struct LeaderEpochs: Hashable, Sendable {
    /// An epoch, and the first offset it wrote.
    package struct Entry: Hashable, Sendable {
        package var epoch: LeaderEpoch
        package var startOffset: Offset
    }

    /// Kafka's name for the file.
    package static let fileName = "leader-epoch-checkpoint"

    package private(set) var entries: [Entry] = []

    package init(entries: [Entry] = []) {
        for entry in entries { assign(entry.epoch, startingAt: entry.startOffset) }
    }

    /// The newest epoch; nil in a log that never had one.
    package var latest: LeaderEpoch? { entries.last?.epoch }

    /// Notes that `epoch` starts at `offset`. An epoch that is not newer changes nothing, and a
    /// newer one takes over whatever was noted from that offset on.
    package mutating func assign(_ epoch: LeaderEpoch, startingAt offset: Offset) {
        guard epoch >= LeaderEpoch(0), epoch > latest ?? .none else { return }
        entries.removeAll { $0.startOffset >= offset }
        entries.append(Entry(epoch: epoch, startOffset: offset))
    }

    /// Drops what lies at or behind the end of the log.
    package mutating func truncate(to end: Offset) {
        entries.removeAll { $0.startOffset >= end }
    }

    /// Where an epoch's records end: the start of the next newer epoch, or the log end for the
    /// newest. Answers with the largest known epoch that is not above `epoch`; nil when there is
    /// none.
    package func endOffset(
        forEpoch epoch: LeaderEpoch, logEnd: Offset
    ) -> (epoch: LeaderEpoch, endOffset: Offset)? {
        guard let index = entries.lastIndex(where: { $0.epoch <= epoch }) else { return nil }
        let next = index + 1
        return (entries[index].epoch, next < entries.count ? entries[next].startOffset : logEnd)
    }

    // MARK: The file

    /// Reads the file of a partition directory; no entries when it is absent.
    package static func read(
        from directory: String, on fileSystem: any FileSystem
    ) throws(LogError) -> LeaderEpochs {
        let path = joinPath(directory, fileName)
        let lines = try TextCheckpoint.read(path, fieldCount: 2, from: fileSystem) ?? []
        var epochs = LeaderEpochs()
        for fields in lines {
            guard let epoch = Int32(fields[0]), let offset = Int64(fields[1]),
                epoch > epochs.latest?.rawValue ?? -1,
                offset >= epochs.entries.last?.startOffset.rawValue ?? 0
            else {
                throw .corruption(
                    Corruption(
                        file: path, position: .start,
                        reason: "\"\(fields.joined(separator: " "))\" does not follow in order"))
            }
            epochs.entries.append(
                Entry(epoch: LeaderEpoch(epoch), startOffset: Offset(offset)))
        }
        return epochs
    }

    /// Replaces the file; on return it is on stable storage.
    package func write(
        to directory: String, on fileSystem: any FileSystem
    ) throws(LogError) {
        try TextCheckpoint.write(
            entries.map { "\($0.epoch) \($0.startOffset)" },
            to: joinPath(directory, Self.fileName), on: fileSystem)
    }
}
