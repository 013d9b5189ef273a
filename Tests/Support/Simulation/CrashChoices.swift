/// Decides what a power loss leaves of what was not synced.
protocol CrashChoices {
    /// Called before each file and directory.
    mutating func startNode()
    /// How many of so many steps, oldest first, have happened: 0 through `count`.
    mutating func steps(of count: Int) -> Int
}

/// Nothing that was not synced survives.
struct KeepNothing: CrashChoices {
    mutating func startNode() {}
    mutating func steps(of count: Int) -> Int { 0 }
}

/// Everything survives.
struct KeepEverything: CrashChoices {
    mutating func startNode() {}
    mutating func steps(of count: Int) -> Int { count }
}

/// Anything may survive. Each file and directory draws how likely its changes survive, from not
/// at all to all, so that nearly complete and nearly empty outcomes are as common as mixtures.
struct RandomChoices<Generator: RandomNumberGenerator>: CrashChoices {
    var generator: Generator
    private var survivalPercent = 50

    init(generator: Generator) {
        self.generator = generator
    }

    mutating func startNode() {
        survivalPercent = [0, 10, 50, 90, 100].randomElement(using: &generator) ?? 50
    }

    mutating func steps(of count: Int) -> Int {
        if count == 0 { return 0 }
        switch survivalPercent {
        case 0: return 0
        case 100: return count
        default:
            if Int.random(in: 0..<100, using: &generator) < survivalPercent { return count }
            return Int.random(in: 0..<count, using: &generator)
        }
    }
}

extension SimulatedContents {
    /// The bytes after a power loss. Every sector is on the disk in one of the states that it had
    /// since it was last stored, each independently of the others, as writeback in any order
    /// leaves them; the length is one of those the file had. What is within the length and was
    /// never stored reads as zeros.
    func survivingBytes(_ choices: inout some CrashChoices, sectorBytes: Int) -> [UInt8] {
        let changes = doubtful + pending
        choices.startNode()
        if changes.isEmpty { return durable }

        var byteCount = durable.count
        for change in changes.prefix(choices.steps(of: changes.count)) {
            switch change {
            case .write(let position, let bytes):
                byteCount = max(byteCount, position + bytes.count)
            case .truncate(let newByteCount): byteCount = newByteCount
            }
        }
        var result = durable
        Change.truncate(byteCount).apply(to: &result)

        let touches = touchedSectors(by: changes, sectorBytes: sectorBytes, below: byteCount)
        // In a fixed order, or a seed would not give the same outcome twice.
        for sector in touches.keys.sorted() {
            let indexes = touches[sector] ?? []
            let start = sector * sectorBytes
            let range = start..<min(start + sectorBytes, byteCount)
            var bytes = [UInt8](repeating: 0, count: range.count)
            let stored = range.clamped(to: 0..<durable.count)
            if !stored.isEmpty {
                bytes.overwrite(at: 0, with: durable, stored)
            }
            for index in indexes.prefix(choices.steps(of: indexes.count)) {
                changes[index].apply(to: &bytes, showing: range)
            }
            result.overwrite(at: start, with: bytes, 0..<bytes.count)
        }
        return result
    }

    /// Which changes touch which sectors, oldest first.
    private func touchedSectors(
        by changes: [Change], sectorBytes: Int, below byteCount: Int
    ) -> [Int: [Int]] {
        var touches: [Int: [Int]] = [:]
        for (index, change) in changes.enumerated() {
            let range =
                switch change {
                case .write(let position, let bytes): position..<(position + bytes.count)
                case .truncate(let newByteCount): newByteCount..<max(newByteCount, byteCount)
                }
            let visible = range.clamped(to: 0..<byteCount)
            if visible.isEmpty { continue }
            let first = visible.lowerBound / sectorBytes
            for sector in first...((visible.upperBound - 1) / sectorBytes) {
                touches[sector, default: []].append(index)
            }
        }
        return touches
    }
}

extension SimulatedContents.Change {
    /// Changes a copy of a part of the file: `target` shows the positions of `range`.
    fileprivate func apply(to target: inout [UInt8], showing range: Range<Int>) {
        switch self {
        case .write(let position, let bytes):
            let common = range.clamped(to: position..<(position + bytes.count))
            if common.isEmpty { return }
            target.overwrite(
                at: common.lowerBound - range.lowerBound, with: bytes,
                (common.lowerBound - position)..<(common.upperBound - position))
        case .truncate(let byteCount):
            for position in range where position >= byteCount {
                target[position - range.lowerBound] = 0
            }
        }
    }
}
