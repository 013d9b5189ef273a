import Glibc
import TallyFiles
import TallyTestSupport
import Testing

@Suite("the simulated file system loses what a real one may lose, and no more")
struct SimulatedCrashTests {
    let system = SimulatedFileSystem(directories: ["/data"])

    /// A file that is durable with these bytes, name included.
    private func durableFile(_ name: String, _ contents: [UInt8]) throws -> any File {
        let file = try system.open(name, .createNew)
        try file.write(all: contents, at: 0)
        try file.sync()
        try system.syncDirectory(parentDirectory(of: name))
        return file
    }

    @Test("what is synced survives, what is not may or may not")
    func subset() throws {
        var generator = SeededGenerator.fromEnvironment()
        let old = [UInt8](repeating: 1, count: 4096)
        let file = try durableFile("/data/a", old)
        try file.write(all: [UInt8](repeating: 2, count: 2048), at: 1024)
        try file.write(all: [UInt8](repeating: 3, count: 512), at: 1536)
        try file.write(all: [UInt8](repeating: 4, count: 1000), at: 5000)
        var outcomes = Set<[UInt8]>()
        var lengths = Set<Int>()
        for _ in 0..<200 {
            let found =
                try system.crash(choose: &generator)
                .readWhole("/data/a", byteCountMax: 1 << 20) ?? []
            #expect(found.count == 4096 || found.count == 6000)
            #expect(Self.values(found, 0..<1024) == [1])
            #expect(Self.values(found, 3072..<4096) == [1])
            #expect(Self.values(found, 1024..<3072).isSubset(of: [1, 2, 3]))
            #expect(Self.values(found, 2048..<3072).isSubset(of: [1, 2]))
            #expect(Self.values(found, 4096..<5000).isSubset(of: [0]))
            #expect(Self.values(found, 5000..<6000).isSubset(of: [0, 4]))
            // A sector is whole in one of its states.
            for start in stride(from: 1024, to: 3072, by: 512) {
                #expect(Self.values(found, start..<(start + 512)).count == 1)
            }
            outcomes.insert(found)
            lengths.insert(found.count)
        }
        // The second write without the first, as writeback in any order gives it.
        #expect(outcomes.contains { $0[1024] == 1 && $0[1536] == 3 })
        #expect(outcomes.contains { $0[1024] == 2 && $0[1536] == 1 })
        // A length that survived without its bytes: zeros.
        #expect(outcomes.contains { $0.count == 6000 && $0[5999] == 0 })
        #expect(lengths == [4096, 6000])
        #expect(outcomes.contains(old))
        #expect(outcomes.count > 20)
    }

    /// Which values the bytes of a range have, as far as the file goes.
    private static func values(_ bytes: [UInt8], _ range: Range<Int>) -> Set<UInt8> {
        Set(bytes[range.clamped(to: 0..<bytes.count)])
    }

    @Test("the same seed gives the same outcome")
    func repeatable() throws {
        let file = try durableFile("/data/a", [])
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<20 {
            let position = Int64.random(in: 0..<10_000, using: &generator)
            try file.write(all: generator.bytes(700), at: position)
        }
        for seed in 0..<20 as Range<UInt64> {
            var first = SeededGenerator(seed: seed)
            var second = SeededGenerator(seed: seed)
            #expect(
                try system.crash(choose: &first).readWhole("/data/a", byteCountMax: 1 << 20)
                    == system.crash(choose: &second).readWhole("/data/a", byteCountMax: 1 << 20))
        }
    }

    @Test("nothing and everything are outcomes too, and a killed process loses nothing")
    func extremes() throws {
        let file = try durableFile("/data/a", bytes("old"))
        try file.write(all: bytes("newer"), at: 0)
        try file.truncate(to: 4)
        _ = try system.open("/data/b", .create)
        let nothing = system.crash(keeping: .nothing)
        #expect(try nothing.readWhole("/data/a", byteCountMax: 9) == bytes("old"))
        #expect(try nothing.list("/data") == ["a"])
        let everything = system.crash(keeping: .everything)
        #expect(try everything.readWhole("/data/a", byteCountMax: 9) == bytes("newe"))
        #expect(try everything.list("/data") == ["a", "b"])
        let killed = system.processCrash()
        #expect(try killed.readWhole("/data/a", byteCountMax: 9) == bytes("newe"))
        // What the process had not synced can still be lost by a later power loss.
        let later = killed.crash(keeping: .nothing)
        #expect(try later.readWhole("/data/a", byteCountMax: 9) == bytes("old"))
        #expect(try later.list("/data") == ["a"])
    }

    @Test("after a crash, what was open is of no use")
    func handlesAreGone() throws {
        let file = try durableFile("/data/a", bytes("old"))
        let mapping = try file.map(byteCount: 3)
        _ = system.crash(keeping: .nothing)
        #expect(errorCode { try file.sync() } == ESTALE)
        #expect(errorCode { try file.write(all: bytes("x"), at: 0) } == ESTALE)
        #expect(errorCode { _ = try file.read(byteCount: 1, at: 0) } == ESTALE)
        #expect(errorCode { try mapping.populate(0..<1) } == ESTALE)
        #expect(errorCode { _ = try system.list("/data") } == ESTALE)
    }

    @Test("a synced file whose directory was not synced is there or not, whole")
    func unsyncedName() throws {
        var generator = SeededGenerator.fromEnvironment()
        let file = try system.open("/data/a", .create)
        try file.write(all: bytes("hello"), at: 0)
        try file.sync()
        var outcomes = Set<[UInt8]?>()
        for _ in 0..<100 {
            let after = system.crash(choose: &generator)
            outcomes.insert(try after.readWhole("/data/a", byteCountMax: 9))
        }
        #expect(outcomes == [nil, bytes("hello")])
    }

    @Test("unsynced changes of a directory survive in their order")
    func directoryOrder() throws {
        var generator = SeededGenerator.fromEnvironment()
        _ = try durableFile("/data/a", bytes("a"))
        _ = try durableFile("/data/old", bytes("old"))
        _ = try system.open("/data/b", .create)
        try system.rename("/data/a", to: "/data/old")
        try system.remove("/data/b")
        try system.createDirectory("/data/d")
        var outcomes = Set<[String]>()
        for _ in 0..<200 {
            let after = system.crash(choose: &generator)
            let names = try after.list("/data")
            outcomes.insert(names)
            let replaced = try after.readWhole("/data/old", byteCountMax: 9)
            #expect(replaced == (names.contains("a") ? bytes("old") : bytes("a")))
        }
        #expect(
            outcomes == [["a", "old"], ["a", "b", "old"], ["b", "old"], ["old"], ["d", "old"]])
    }

    @Test("a failed sync loses its bytes even where a later one succeeds")
    func failedSync() throws {
        let file = try durableFile("/data/a", [UInt8](repeating: 1, count: 8192))
        try file.write(all: [UInt8](repeating: 2, count: 8192), at: 0)
        system.failNext(.sync, code: EIO)
        #expect(errorCode { try file.sync() } == EIO)
        try file.sync()
        #expect(try file.read(byteCount: 1, at: 0) == [2])
        // A page that is dirtied again is written whole.
        try file.write(all: [3], at: 5000)
        try file.sync()
        let found =
            try system.crash(keeping: .nothing).readWhole("/data/a", byteCountMax: 1 << 20) ?? []
        #expect(found.prefix(4096).allSatisfy { $0 == 1 })
        #expect(found[4096] == 2 && found[5000] == 3 && found[8191] == 2)
        let all =
            try system.crash(keeping: .everything).readWhole("/data/a", byteCountMax: 1 << 20) ?? []
        #expect(all[0] == 2)
    }

    @Test("space runs out and comes back")
    func capacity() throws {
        system.capacityBytes = 10
        let file = try system.open("/data/a", .create)
        #expect(try file.writeSome(bytes("0123456").span.bytes, at: 0) == 7)
        #expect(try file.writeSome(bytes("789abc").span.bytes, at: 7) == 3)
        #expect(errorCode { try file.write(all: bytes("x"), at: 10) } == ENOSPC)
        #expect(errorCode { _ = try file.reserve(0..<11) } == ENOSPC)
        try file.write(all: bytes("within"), at: 0)
        system.capacityBytes = 20
        #expect(try file.reserve(10..<20))
        #expect(system.usedBytes == 20)
        let other = try system.open("/data/b", .create)
        #expect(errorCode { try other.write(all: bytes("x"), at: 0) } == ENOSPC)
        try file.truncate(to: 10)
        try other.write(all: bytes("x"), at: 0)
        try system.remove("/data/a")
        #expect(system.usedBytes == 1)
        #expect(system.crash(keeping: .everything).usedBytes == 1)
    }

    @Test("faults hit the call that was planned, once or from then on")
    func faults() throws {
        let file = try system.open("/data/a", .create)
        system.plan(Fault(.error(EIO), on: .write, after: 2))
        for _ in 0..<2 { try file.write(all: bytes("x"), at: 0) }
        try file.sync()
        #expect(errorCode { try file.write(all: bytes("x"), at: 0) } == EIO)
        try file.write(all: bytes("x"), at: 0)
        system.plan(Fault(.error(ENOSPC), pathSuffix: "b", repeats: true))
        try file.sync()
        for _ in 0..<3 {
            #expect(errorCode { _ = try system.open("/data/b", .create) } == ENOSPC)
        }
        #expect(system.faultsHit == 4)
        #expect(system.count(.write) == 4)
        #expect(system.recentOperations.contains("write /data/a [0..<1] !error(5)"))
        system.clearFaults()
        system.plan(Fault(.partial(byteCount: 3, code: EIO), on: .write))
        #expect(errorCode { try file.write(all: bytes("hello"), at: 0) } == EIO)
        #expect(try file.read(byteCount: 9, at: 0) == bytes("hel"))
    }
}
