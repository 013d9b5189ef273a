import TallyRecords

/// The newest offset of each key in the part of a log that is being looked at; of bounded size.
///
/// Open addressing with linear probing. A key is known by its hash alone. The table grows by four
/// until it and the one it grows from take what it was given. A value, used by one thread.
struct KeyMap: ~Copyable {
    private struct Slot {
        var hash: KeyHash
        /// -1 where the slot is free.
        var offset: Int64

        static let free = Slot(hash: KeyHash(low: 0, high: 0), offset: -1)
    }

    /// What became of a key.
    enum Outcome: Equatable {
        case added
        case replaced(Offset)
        /// There is no room for another key; nothing was changed.
        case full
    }

    /// Of ten slots so many are in use at most: with more of them, probing takes long.
    private static let tenthsInUseMax = 8

    private var slots: [Slot]
    private let slotsMax: Int
    /// The number of keys.
    private(set) var count = 0

    /// - Parameter byteCountMax: memory it may take, at the least room for three keys.
    init(byteCountMax: Int) {
        let slotsMax = max(byteCountMax / MemoryLayout<Slot>.stride * 4 / 5, 4)
        var capacity = slotsMax
        while capacity > 4096 { capacity = (capacity + 3) / 4 }
        self.slotsMax = slotsMax
        slots = [Slot](repeating: .free, count: capacity)
    }

    /// How many keys fit.
    var countMax: Int { slotsMax * Self.tenthsInUseMax / 10 }

    /// Notes where a key is; later offsets come later.
    mutating func put(_ hash: KeyHash, _ offset: Offset) -> Outcome {
        var index = index(of: hash)
        let known = slots[index].offset
        if known >= 0 {
            slots[index].offset = offset.rawValue
            return .replaced(Offset(known))
        }
        if (count + 1) * 10 > slots.count * Self.tenthsInUseMax {
            guard slots.count < slotsMax else { return .full }
            grow()
            index = self.index(of: hash)
        }
        slots[index] = Slot(hash: hash, offset: offset.rawValue)
        count += 1
        return .added
    }

    /// The newest offset of a key; nil where it was not met.
    func offset(of hash: KeyHash) -> Offset? {
        let known = slots[index(of: hash)].offset
        return known < 0 ? nil : Offset(known)
    }

    /// The slot that has a key, or the free one where it belongs.
    @inline(__always)
    private func index(of hash: KeyHash) -> Int {
        let home = hash.high.multipliedFullWidth(by: UInt64(slots.count)).high
        var index = Int(truncatingIfNeeded: home)
        while slots[index].offset >= 0, slots[index].hash != hash {
            index += 1
            if index == slots.count { index = 0 }
        }
        return index
    }

    private mutating func grow() {
        let capacity = slots.count * 4 > slotsMax - 3 ? slotsMax : slots.count * 4
        let old = slots
        slots = [Slot](repeating: .free, count: capacity)
        for slot in old where slot.offset >= 0 { slots[index(of: slot.hash)] = slot }
    }
}
