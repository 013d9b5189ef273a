import TallyFiles

/// What is in a simulated file: what reads see (`live`) apart from what a power loss is certain
/// to leave (`durable`), and the changes that lie between. Guarded by the file system's mutex.
final class SimulatedContents: @unchecked Sendable {
    /// Writeback works on pages: a page dirtied again is written whole.
    static let pageByteCount = 4096

    let identity: FileIdentity
    private(set) var live: [UInt8] = []
    private(set) var durable: [UInt8] = []
    /// Changes since the last sync, oldest first.
    private(set) var pending: [Change] = []
    /// Changes whose sync failed: clean for the page cache, and on the disk or not. Writes among
    /// them lie within one page each.
    private(set) var doubtful: [Change] = []
    /// Up to where space is allocated; at least the live length.
    var allocatedByteCount = 0
    /// Whether a directory has it: whether its space counts.
    var isLinked = true
    var modificationTime: Duration = .zero
    private var regions: [WeakRegion] = []

    /// A change of a file's bytes or length.
    enum Change {
        case write(position: Int, bytes: [UInt8])
        case truncate(Int)
    }

    private struct WeakRegion {
        weak var region: SimulatedRegion?
    }

    init(identity: FileIdentity, bytes: [UInt8] = []) {
        self.identity = identity
        live = bytes
        durable = bytes
        allocatedByteCount = bytes.count
    }

    var information: FileInformation {
        FileInformation(
            byteCount: Int64(live.count), isDirectory: false, identity: identity,
            linkCount: isLinked ? 1 : 0, modificationTime: modificationTime)
    }

    func write(_ bytes: [UInt8], at position: Int) {
        if bytes.isEmpty { return }
        apply(.write(position: position, bytes: bytes))
    }

    func truncate(to byteCount: Int) {
        apply(.truncate(byteCount))
        allocatedByteCount = byteCount
    }

    private func apply(_ change: Change) {
        change.apply(to: &live)
        pending.append(change)
        allocatedByteCount = max(allocatedByteCount, live.count)
        for entry in regions { entry.region?.apply(change) }
    }

    /// All pending changes reach the disk. Pages whose sync failed before stay in doubt, unless
    /// they were dirtied again.
    func sync() {
        var dirtyPages = Set<Int>()
        for change in pending {
            change.apply(to: &durable)
            if case .write(let position, let bytes) = change {
                let first = position / Self.pageByteCount
                dirtyPages.formUnion(first...((position + bytes.count - 1) / Self.pageByteCount))
            }
        }
        if !pending.isEmpty && !doubtful.isEmpty { settle(dirtyPages) }
        pending = []
    }

    /// Pages written whole take along what an earlier sync had failed to store in them, and the
    /// length on the disk is the live one.
    private func settle(_ dirtyPages: Set<Int>) {
        Change.truncate(live.count).apply(to: &durable)
        for page in dirtyPages {
            let start = page * Self.pageByteCount
            let range = start..<min(start + Self.pageByteCount, live.count)
            if range.lowerBound < range.upperBound {
                durable.overwrite(at: start, with: live, range)
            }
        }
        doubtful.removeAll { change in
            switch change {
            case .write(let position, _):
                position >= live.count || dirtyPages.contains(position / Self.pageByteCount)
            case .truncate:
                true
            }
        }
    }

    /// The sync failed: the page cache takes the pages for clean, the disk has them or not.
    func failSync() {
        for change in pending {
            guard case .write(var position, let bytes) = change else {
                doubtful.append(change)
                continue
            }
            let start = position
            let end = start + bytes.count
            while position < end {
                let pageEnd = (position / Self.pageByteCount + 1) * Self.pageByteCount
                let piece = position..<min(pageEnd, end)
                let copy = bytes.copy((piece.lowerBound - start)..<(piece.upperBound - start))
                doubtful.append(.write(position: position, bytes: copy))
                position = piece.upperBound
            }
        }
        pending = []
    }

    /// A region that shows this file, for at least `byteCount` bytes.
    func region(byteCount: Int, make: () throws(FileError) -> SimulatedRegion)
        throws(FileError) -> SimulatedRegion
    {
        regions.removeAll { $0.region == nil }
        for entry in regions {
            if let region = entry.region, region.byteCount >= byteCount { return region }
        }
        let region = try make()
        region.apply(.write(position: 0, bytes: live))
        regions.append(WeakRegion(region: region))
        return region
    }

    /// The same file in another file system that takes over after the process was killed.
    func copy() -> SimulatedContents {
        let copy = SimulatedContents(identity: identity)
        copy.live = live
        copy.durable = durable
        copy.pending = pending
        copy.doubtful = doubtful
        copy.allocatedByteCount = max(allocatedByteCount, live.count)
        copy.isLinked = isLinked
        copy.modificationTime = modificationTime
        return copy
    }

    /// The same file as a power loss leaves it.
    func afterPowerLoss(
        _ choices: inout some CrashChoices, sectorBytes: Int
    ) -> SimulatedContents {
        let bytes = survivingBytes(&choices, sectorBytes: sectorBytes)
        let survivor = SimulatedContents(identity: identity, bytes: bytes)
        survivor.modificationTime = modificationTime
        return survivor
    }
}

extension SimulatedContents.Change {
    /// Changes an array as the file was changed; gaps are zeros.
    func apply(to target: inout [UInt8]) {
        switch self {
        case .write(let position, let bytes):
            target.resize(to: max(target.count, position + bytes.count))
            target.overwrite(at: position, with: bytes, 0..<bytes.count)
        case .truncate(let byteCount):
            target.resize(to: byteCount)
        }
    }
}
