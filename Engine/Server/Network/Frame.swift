import TallyFiles
import TallyWire

/// A request as it came, and what it has of the budget.
///
/// Thread rule: any thread.
final class Frame: Sendable {
    /// Bytes of the budget, to be given back when the request is answered.
    let reserved: Int
    /// Whether it is small, and of a kind that mostly waits for no disk: batches for the system's
    /// cache of a file, or out of it.
    let isQuick: Bool
    private let bytes: UnfairLock<[UInt8]>

    /// Takes the bytes from whoever has gathered them.
    init(taking bytes: inout [UInt8], reserved: Int) {
        self.reserved = reserved
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        let start = try? RequestFrameStart(decoding: taken)
        isQuick =
            taken.count <= MemoryBudget.freeByteCount
            && (start?.api == .produce || start?.api == .fetch)
        self.bytes = UnfairLock(taken)
    }

    /// The bytes, once, for whoever answers the request. Nobody else has them then, so batches get
    /// their offsets where they lie.
    func takeBytes() -> [UInt8] {
        bytes.withLock { bytes in
            var taken: [UInt8] = []
            swap(&taken, &bytes)
            return taken
        }
    }
}

/// Room of requests that were answered, for those to come: memory that the system has to find and
/// clear costs as much as the copying into it.
///
/// Thread rule: any thread.
final class FramePool: Sendable {
    /// Room for a request at once; larger ones grow while they come, and are not kept.
    static let roomMax = 2 << 20
    /// As many are kept as come and go at a time, however many connections there are.
    private static let countMax = 8

    private let rooms = UnfairLock<[[UInt8]]>([])

    /// No bytes, with room for a request, or for its beginning.
    func room(for byteCount: Int) -> [UInt8] {
        let isLarge = byteCount > MemoryBudget.freeByteCount
        var room = (isLarge ? rooms.withLock { $0.popLast() } : nil) ?? []
        // Not all of it because a length says so, but what most have, so that they do not move.
        room.reserveCapacity(min(byteCount, Self.roomMax))
        return room
    }

    /// Keeps the room of a request that was answered.
    func giveBack(_ bytes: inout [UInt8]) {
        let kept = MemoryBudget.freeByteCount + 1...2 * Self.roomMax
        guard kept.contains(bytes.capacity) else { return }
        bytes.removeAll(keepingCapacity: true)
        rooms.withLock { rooms in
            guard rooms.count < Self.countMax else { return }
            rooms.append([])
            swap(&rooms[rooms.count - 1], &bytes)
        }
    }
}
