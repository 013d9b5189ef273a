import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// Directories as a crash can leave them in the middle of a swap, made by hand.
@Suite("Opening after a swap that did not come to its end", .verifiesLogs)
struct UnfinishedSwapTests {
    typealias Directory = [String: [UInt8]]

    /// The directory before a cleaning, that after it, and what both hold.
    private struct States {
        var harness: KeyedLog
        var old: Directory
        var new: Directory
        var map: [[UInt8]: [UInt8]]
        /// The base offsets of the segments that are replaced, and of those that replace them.
        var oldBases: [Offset]
        var newBases: [Offset]
    }

    /// A large closed segment and a small one, of which the cleaning makes two or more.
    private func states() throws -> States {
        let files = SimulatedFileSystem(directories: ["/data", KeyedLog.directory])
        var harness = KeyedLog(files)
        harness.configuration.segmentBytesMax = 4000
        let first = try harness.open()
        try first.fill(0..<9, keyCount: 9)
        try first.roll()
        try abort(first)
        try first.put("key 3", "new")
        try first.roll()
        try first.put("key 4", "newer")
        _ = try first.close()
        let old = try contents(files)
        let oldBases = SegmentName.baseOffsets(among: Array(old.keys)).dropLast()
        harness.configuration.segmentBytesMax = 1000
        let log = try harness.open()
        let map = try log.readMap()
        try harness.clean(log, now: 0)
        log.removeRetiredFiles(now: nil)
        let newBases = log.segments.map(\.baseOffset).dropLast()
        _ = try log.close()
        try #require(newBases.count > 2)
        try #require(newBases[0] == oldBases[0])
        return States(
            harness: harness, old: old, new: try contents(files), map: map,
            oldBases: Array(oldBases), newBases: Array(newBases))
    }

    /// So that there is a transaction index.
    private func abort(_ log: PartitionLog) throws {
        let batch = KeyedBatch(
            producer: BatchProducer(id: 7, epoch: 0, baseSequence: 0), isTransactional: true)
        try log.put([Entry(key: Array("key 5".utf8), value: [1], timestamp: 0)], batch)
        try log.end(7, didCommit: false)
    }

    private func contents(_ files: any FileSystem) throws -> Directory {
        var contents: Directory = [:]
        for name in try files.list(KeyedLog.directory) {
            contents[name] = try files.readWhole(
                joinPath(KeyedLog.directory, name), byteCountMax: 1 << 20)
        }
        return contents
    }

    private func fileSystem(_ directory: Directory) throws -> SimulatedFileSystem {
        let files = SimulatedFileSystem(directories: ["/data", KeyedLog.directory])
        for (name, bytes) in directory {
            try files.replace(joinPath(KeyedLog.directory, name), with: bytes)
        }
        return files
    }

    private static let endings = SegmentName.Ending.allCases

    /// Adds the files of a new segment with a suffix, its side files with another.
    private func add(
        _ base: Offset, of states: States, _ suffix: String, sides: String,
        to directory: inout Directory
    ) {
        for ending in Self.endings where ending != .producerSnapshot {
            let name = SegmentName.file(base, ending)
            directory[name + (ending == .log ? suffix : sides)] = states.new[name]
        }
    }

    private func removeOld(_ bases: some Sequence<Offset>, from directory: inout Directory) {
        for base in bases {
            for ending in Self.endings { directory[SegmentName.file(base, ending)] = nil }
        }
    }

    private func expect(
        _ directory: Directory, _ states: States, isNew: Bool, _ story: String
    ) throws {
        let files = try fileSystem(directory)
        let harness = states.harness.on(files)
        let log: PartitionLog
        do {
            log = try harness.open()
        } catch {
            Issue.record("\(error) \(story)")
            return
        }
        let bases = log.segments.map(\.baseOffset).dropLast()
        #expect(Array(bases) == (isNew ? states.newBases : states.oldBases), "\(story)")
        let isRight = try log.readMap() == states.map
        #expect(isRight, "\(story)")
        #expect(try harness.leftOvers() == [], "\(story)")
        try harness.clean(log, now: 0)
        let isRightStill = try log.readMap() == states.map
        #expect(isRightStill, "\(story)")
        _ = try log.close()
    }

    @Test("what was not decided goes, whatever names it has by then")
    func undecided() throws {
        let states = try states()
        for swapped in 0..<states.newBases.count {
            for sides in [".cleaned", ".swap"] {
                var directory = states.old
                for (index, base) in states.newBases.enumerated() {
                    let isSwapped = index >= states.newBases.count - swapped
                    add(
                        base, of: states, isSwapped ? ".swap" : ".cleaned", sides: sides,
                        to: &directory)
                }
                try expect(
                    directory, states, isNew: false, "\(swapped) have their second name, \(sides)")
            }
        }
    }

    @Test("what was decided comes about, however many of the old files are there")
    func decided() throws {
        let states = try states()
        // Newest first, as they go.
        for gone in 0...states.oldBases.count {
            var directory = states.old
            removeOld(states.oldBases.reversed().prefix(gone), from: &directory)
            for base in states.newBases {
                add(base, of: states, ".swap", sides: ".swap", to: &directory)
            }
            try expect(directory, states, isNew: true, "\(gone) old segments are gone")
            // The old ones are there under their last names.
            for base in states.oldBases.reversed().prefix(gone) {
                let name = SegmentName.file(base, .log)
                directory[name + ".deleted"] = states.old[name]
            }
            try expect(directory, states, isNew: true, "\(gone) old segments are renamed")
        }
    }

    @Test("what is in place already stays, and the rest follows")
    func partlyInPlace() throws {
        let states = try states()
        for inPlace in 0..<states.newBases.count {
            for sides in ["", ".swap"] {
                var directory = states.old
                removeOld(states.oldBases, from: &directory)
                for (index, base) in states.newBases.enumerated() {
                    let isInPlace = index < inPlace
                    add(
                        base, of: states, isInPlace ? "" : ".swap",
                        sides: isInPlace || index == inPlace ? sides : ".swap", to: &directory)
                    if isInPlace { add(base, of: states, "", sides: "", to: &directory) }
                }
                try expect(directory, states, isNew: true, "\(inPlace) are in place, \(sides)")
            }
        }
    }

    @Test("a damaged file that was decided is an error, and nothing is changed")
    func damaged() throws {
        let states = try states()
        for base in states.newBases {
            for place in [0, 20, 70] {
                var directory = states.old
                for base in states.newBases {
                    add(base, of: states, ".swap", sides: ".swap", to: &directory)
                }
                directory[SegmentName.file(base, .log) + ".swap"]?[place] ^= 0x55
                try expectRefused(directory, states.harness, "byte \(place) of \(base)")
            }
        }
    }

    private func expectRefused(
        _ directory: Directory, _ harness: KeyedLog, _ story: String
    ) throws {
        OpenedLogs.holdDamage()
        let files = try fileSystem(directory)
        do {
            _ = try harness.on(files).open()
            Issue.record("it opened: \(story)")
        } catch {
            guard case .corruption = error else {
                Issue.record("\(error) \(story)")
                return
            }
        }
        let isUnchanged = try contents(files) == directory
        #expect(isUnchanged, "\(story)")
    }

    @Test("an old segment that is missing, where the new one is not complete, is an error")
    func missing() throws {
        let states = try states()
        var directory = states.old
        for (index, base) in states.newBases.enumerated() {
            let suffix = index == 0 ? ".cleaned" : ".swap"
            add(base, of: states, suffix, sides: ".swap", to: &directory)
        }
        removeOld(states.oldBases.prefix(1), from: &directory)
        try expectRefused(directory, states.harness, "the first old segment is missing")
    }

    @Test("side files alone, and files of a cleaning that had just begun, go")
    func sideFiles() throws {
        let states = try states()
        for suffix in [".cleaned", ".swap"] {
            var directory = states.old
            for base in states.newBases {
                for ending in Self.endings where ending != .log {
                    directory[SegmentName.file(base, ending) + suffix] = [1, 2, 3]
                }
            }
            directory[SegmentName.file(states.newBases[1], .log) + ".cleaned"] = [0, 0]
            try expect(directory, states, isNew: false, suffix)
        }
    }
}
