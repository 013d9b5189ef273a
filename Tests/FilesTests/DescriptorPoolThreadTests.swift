import Foundation
import Synchronization
import TallyFiles
import TallyTestSupport
import Testing

@Suite("a pool is used by many threads at once")
struct DescriptorPoolThreadTests {
    @Test("what many threads append through few descriptors is all there, and synced at eviction")
    func manyThreads() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let pool = DescriptorPool(fileSystem: system, openFilesMax: 6)
        let files = (0..<24).map { pool.file("/data/\($0)", .create) }
        let seed = SeededGenerator.fromEnvironment().seed
        let failures = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            var generator = SeededGenerator(seed: seed &+ UInt64(thread))
            for step in 0..<400 {
                let file = files[Int.random(in: 0..<files.count, using: &generator)]
                do throws(FileError) {
                    // Every thread has a region of its own in each file.
                    let position = Int64(thread * 400 + step)
                    try file.write(all: [UInt8(thread + 1)], at: position)
                    if step % 7 == 0 { try file.sync() }
                    let read = try file.read(byteCount: 1, at: position)
                    if read != [UInt8(thread + 1)] { failures.add(1, ordering: .relaxed) }
                } catch {
                    failures.add(1, ordering: .relaxed)
                }
            }
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(pool.openFileCount <= 8)
        // The next opening evens out what was one too many.
        try pool.file("/data/last", .create).open()
        #expect(pool.openFileCount <= 6)
        for file in files { try file.sync() }
        try system.syncDirectory("/data")
        let after = system.crash(keeping: .nothing)
        var written = 0
        for number in 0..<24 {
            let bytes = try after.readWhole("/data/\(number)", byteCountMax: 1 << 20) ?? []
            written += bytes.count { $0 != 0 }
        }
        #expect(written == 8 * 400)
    }

    @Test("a write that overlaps a sync is not taken for synced")
    func overlappingSync() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let gate = GatedFileSystem(system)
        let pool = DescriptorPool(fileSystem: gate, openFilesMax: 4)
        let file = pool.file("/data/1", .create)
        try file.open()
        let written = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            try? file.write(all: bytes("late"), at: 0)
            written.signal()
        }
        // The write has been announced and has not reached the file when the sync runs.
        gate.writeArrived.wait()
        try file.sync()
        gate.writeMayGoOn.signal()
        written.wait()
        #expect(file.isDirty)
        #expect(system.count(.sync) == 1)
    }
}

/// A file system whose writes wait for permission.
private final class GatedFileSystem: FileSystem {
    let base: SimulatedFileSystem
    let writeArrived = DispatchSemaphore(value: 0)
    let writeMayGoOn = DispatchSemaphore(value: 0)

    init(_ base: SimulatedFileSystem) { self.base = base }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        GatedFile(try base.open(path, mode), self)
    }
    func list(_ directory: String) throws(FileError) -> [String] { try base.list(directory) }
    func information(_ path: String) throws(FileError) -> FileInformation? {
        try base.information(path)
    }
    func rename(_ source: String, to destination: String) throws(FileError) {
        try base.rename(source, to: destination)
    }
    func remove(_ path: String) throws(FileError) { try base.remove(path) }
    func createDirectory(_ path: String) throws(FileError) { try base.createDirectory(path) }
    func removeDirectory(_ path: String) throws(FileError) { try base.removeDirectory(path) }
    func syncDirectory(_ path: String) throws(FileError) { try base.syncDirectory(path) }
    func lock(_ path: String, contents: String) throws(FileLockError) -> any FileLock {
        try base.lock(path, contents: contents)
    }
}

private final class GatedFile: File {
    let base: any File
    let gate: GatedFileSystem

    init(_ base: any File, _ gate: GatedFileSystem) {
        self.base = base
        self.gate = gate
    }

    var path: String { base.path }
    func information() throws(FileError) -> FileInformation { try base.information() }
    func readSome(
        into buffer: inout MutableRawSpan, at position: Int64
    ) throws(FileError) -> Int {
        try base.readSome(into: &buffer, at: position)
    }
    func writeSome(_ bytes: RawSpan, at position: Int64) throws(FileError) -> Int {
        gate.writeArrived.signal()
        gate.writeMayGoOn.wait()
        return try base.writeSome(bytes, at: position)
    }
    func sync() throws(FileError) { try base.sync() }
    func truncate(to byteCount: Int64) throws(FileError) { try base.truncate(to: byteCount) }
    func reserve(_ range: Range<Int64>) throws(FileError) -> Bool { try base.reserve(range) }
    func map(byteCount: Int) throws(FileError) -> FileMapping {
        try base.map(byteCount: byteCount)
    }
}
