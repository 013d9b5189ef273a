import Foundation
import TallyFiles
import TallyTestSupport
import Testing

@Suite("a pool keeps the number of open files bounded")
struct DescriptorPoolTests {
    @Test("two thousand files are written and read through a few descriptors")
    func bound() throws {
        let directory = try TemporaryDirectory()
        let pool = DescriptorPool(fileSystem: PosixFileSystem(), openFilesMax: 16)
        let files = (0..<2000).map { pool.file(directory.path("f\($0)"), .create) }
        #expect(pool.openFileCount == 0)
        for round in 0..<2 {
            for (number, file) in files.enumerated() {
                try file.write(all: bytes("\(number);"), at: Int64(round * 8))
                if number % 100 == 0 {
                    #expect(pool.openFileCount <= 16)
                    #expect(try descriptors(below: directory.path) <= 16)
                }
            }
        }
        #expect(pool.openFileCount == 16)
        for (number, file) in files.enumerated() {
            #expect(try file.read(byteCount: 5, at: 8) == bytes("\(number);"))
        }
        #expect(try descriptors(below: directory.path) == 16)
        for file in files {
            try file.sync()
            file.close()
        }
        #expect(pool.openFileCount == 0)
        #expect(try descriptors(below: directory.path) == 0)
    }

    /// How many descriptors of this process lead into a directory.
    private func descriptors(below path: String) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { name in
            let link = "/proc/self/fd/" + name
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link)
            return target?.hasPrefix(path) ?? false
        }
    }

    @Test("a limit tighter than the pool was told is lived with")
    func tighterLimit() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        system.openFilesMax = 5
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 100)
        let files = (0..<50).map { pool.file("/data/\($0)", .createNew) }
        for _ in 0..<2 {
            for file in files { try file.write(all: bytes("x"), at: 0) }
        }
        #expect(pool.openFileCount == 5)
        system.openFilesMax = 0
        let another = pool.file("/data/another", .create)
        #expect(errorCode { try another.open() } == EMFILE)
        #expect(pool.openFileCount == 0)
    }

    @Test("the file that was not used lately goes first")
    func leastRecentlyUsed() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 3)
        let busy = pool.file("/data/busy", .create)
        let others = (0..<20).map { pool.file("/data/\($0)", .create) }
        for file in others {
            try busy.open()
            try file.open()
        }
        // Opened once for each time the hand finds all marked, which is seldom.
        #expect(busy.isOpen)
        #expect(system.count(.open) <= 20 + 10)
    }

    @Test("a file in use is not closed, and one too many is better than none")
    func inUse() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 1)
        let first = pool.file("/data/1", .create)
        let second = pool.file("/data/2", .create)
        let third = pool.file("/data/3", .create)
        try first.withFile { (file) throws(FileError) in
            try second.open()
            #expect(first.isOpen && second.isOpen)
            #expect(try file.byteCount() == 0)
        }
        try third.open()
        #expect(pool.openFileCount == 1)
        #expect(third.isOpen)
    }

    @Test("unsynced writes are synced before their descriptor is closed, others are not")
    func evictionSyncs() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 1)
        let first = pool.file("/data/1", .create)
        let second = pool.file("/data/2", .create)
        try first.write(all: bytes("hello"), at: 0)
        #expect(first.isDirty)
        try second.open()
        #expect(!first.isOpen && !first.isDirty)
        #expect(system.count(.sync) == 1)
        // Nothing to sync: not even a descriptor is needed.
        try first.sync()
        #expect(!first.isOpen)
        try first.open()
        #expect(system.count(.sync) == 1)
        try system.syncDirectory("/data")
        let after = system.crash(keeping: .nothing)
        #expect(try after.readWhole("/data/1", byteCountMax: 9) == bytes("hello"))
    }

    @Test("a sync that fails at eviction is thrown by every later write and sync")
    func evictionKeepsError() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 1)
        let first = pool.file("/data/1", .create)
        let second = pool.file("/data/2", .create)
        try first.write(all: bytes("hello"), at: 0)
        system.failNext(.sync, code: EIO)
        // The one who needs the descriptor is not to blame.
        try second.open()
        for _ in 0..<2 {
            #expect(errorCode { try first.sync() } == EIO)
            #expect(errorCode { try first.write(all: bytes("x"), at: 5) } == EIO)
            #expect(errorCode { _ = try first.writeSome(bytes("x").span.bytes, at: 5) } == EIO)
            #expect(errorCode { try first.truncate(to: 0) } == EIO)
        }
        #expect(first.syncFailure?.path == "/data/1")
        #expect(system.count(.sync) == 1)
        #expect(try first.read(byteCount: 9, at: 0) == bytes("hello"))
        first.close()
    }

    @Test("a failed sync is never tried again")
    func failedSyncSticks() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 4)
        let file = pool.file("/data/1", .create)
        try file.write(all: bytes("hello"), at: 0)
        system.failNext(.sync, code: EIO)
        #expect(errorCode { try file.sync() } == EIO)
        #expect(errorCode { try file.sync() } == EIO)
        #expect(errorCode { try file.write(all: bytes("x"), at: 0) } == EIO)
        #expect(system.count(.sync) == 1)
        #expect(system.count(.write) == 1)
    }

    @Test("a write that fails may have written: the file counts as unsynced")
    func failedWriteIsDirty() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 4)
        let file = pool.file("/data/1", .create)
        system.plan(Fault(.partial(byteCount: 2, code: ENOSPC), on: .write))
        #expect(errorCode { try file.write(all: bytes("hello"), at: 0) } == ENOSPC)
        #expect(file.isDirty)
        try file.write(all: bytes("hello"), at: 0)
        try file.sync()
        #expect(!file.isDirty)
    }

    @Test("a file is created once: gone or replaced since, reopening it is an error")
    func vanished() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 1)
        let first = pool.file("/data/1", .create)
        let second = pool.file("/data/2", .createNew)
        try first.open()
        try second.open()
        try system.remove("/data/1")
        #expect(errorCode { try first.open() } == ENOENT)
        #expect(try system.list("/data") == ["2"])
        try system.replace("/data/1", with: bytes("another"))
        #expect(errorCode { try first.write(all: bytes("x"), at: 0) } == ESTALE)
        #expect(pool.openFileCount == 0)
        #expect(try system.readWhole("/data/1", byteCountMax: 9) == bytes("another"))
    }

    @Test("a renamed file is found under its new name, open or not")
    func rename() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 1)
        let first = pool.file("/data/1", .create)
        try first.write(all: bytes("hello"), at: 0)
        try first.rename(to: "/data/new")
        try pool.file("/data/2", .create).open()
        #expect(try first.read(byteCount: 9, at: 0) == bytes("hello"))
        try first.rename(to: "/data/newer")
        #expect(first.path == "/data/newer")
        system.failNext(.read, code: EIO)
        do {
            _ = try first.read(byteCount: 1, at: 0)
            Issue.record("no error")
        } catch {
            #expect(error.path == "/data/newer")
        }
    }

    @Test("a closed file stays closed, and closing unsynced writes must be said")
    func close() async throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 4)
        let file = pool.file("/data/1", .create)
        try file.write(all: bytes("hello"), at: 0)
        file.abandon()
        file.close()
        #expect(errorCode { try file.open() } == EBADF)
        #expect(pool.openFileCount == 0 && system.openFileCount == 0)
        await #expect(processExitsWith: .failure) {
            let system = SimulatedFileSystem(directories: ["/data"])
            let pool = DescriptorPool(fileSystem: system, openFilesMax: 4)
            let file = pool.file("/data/1", .create)
            try file.write(all: bytes("hello"), at: 0)
            file.close()
        }
    }

    @Test("a file that is let go of gives its descriptor back")
    func letGo() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 4)
        for number in 0..<10 { try pool.file("/data/\(number)", .create).open() }
        #expect(pool.openFileCount == 0 && system.openFileCount == 0)
    }
}
