import Glibc
import TallyFiles
import TallyTestSupport
import Testing

@Suite("whole files are replaced, read and copied")
struct WholeFileTests {
    @Test("replacing creates, replaces, and leaves nothing beside", arguments: SubjectKind.allCases)
    func replace(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        try subject.fileSystem.replace(subject.path("a"), with: bytes("one, and longer"))
        #expect(try subject.bytes("a") == bytes("one, and longer"))
        // A longer left-over of an earlier crash must not show through.
        _ = try subject.file("a.tmp", bytes("left over by a crash"))
        try subject.fileSystem.replace(subject.path("a"), with: bytes("two"))
        #expect(try subject.bytes("a") == bytes("two"))
        #expect(try subject.fileSystem.list(subject.root) == ["a"])
    }

    @Test("whichever call of a replacement fails, the file is old or new, and safe if it succeeded")
    func replaceFaults() throws {
        var generator = SeededGenerator.fromEnvironment()
        for effect in [FaultEffect.error(EIO), .partial(byteCount: 2, code: ENOSPC)] {
            var call = 0
            var isDone = false
            while !isDone {
                let system = SimulatedFileSystem(directories: ["/data"])
                try system.replace("/data/a", with: bytes("old"))
                system.plan(Fault(effect, after: call))
                let code = errorCode { try system.replace("/data/a", with: bytes("newer")) }
                isDone = system.faultsHit == 0
                #expect(isDone == (code == nil), "\(system.recentOperations)")
                system.clearFaults()
                #expect(try system.list("/data").contains("a.tmp") == false)
                for _ in 0..<10 {
                    let after = system.crash(choose: &generator)
                    let found = try after.readWhole("/data/a", byteCountMax: 100)
                    let allowed = isDone ? [bytes("newer")] : [bytes("old"), bytes("newer")]
                    #expect(
                        found.map(allowed.contains) == true, "\(call): \(system.recentOperations)")
                }
                call += 1
            }
            #expect(call > 5)
        }
    }

    @Test(
        "reading a whole file tells absent, empty and too large apart",
        arguments: SubjectKind.allCases)
    func readWhole(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let system = subject.fileSystem
        #expect(try system.readWhole(subject.path("a"), byteCountMax: 10) == nil)
        let file = try subject.file("a")
        #expect(try system.readWhole(subject.path("a"), byteCountMax: 0) == [])
        try file.write(all: bytes("0123456789"), at: 0)
        #expect(try system.readWhole(subject.path("a"), byteCountMax: 10) == bytes("0123456789"))
        #expect(
            errorCode { _ = try system.readWhole(subject.path("a"), byteCountMax: 9) } == EFBIG)
    }

    @Test("copying a prefix copies just that", arguments: SubjectKind.allCases)
    func copyPrefix(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        var generator = SeededGenerator.fromEnvironment()
        let contents = generator.bytes(700_001)
        _ = try subject.file("a", contents)
        for byteCount in [0, 1, 4096, 300_000, 700_001] {
            _ = try subject.fileSystem.open(subject.path("b"), .create).truncate(to: 999_999)
            try subject.fileSystem.copyPrefix(
                of: subject.path("a"), byteCount: Int64(byteCount), to: subject.path("b"))
            #expect(try subject.bytes("b") == Array(contents.prefix(byteCount)))
        }
        #expect(
            errorCode {
                try subject.fileSystem.copyPrefix(
                    of: subject.path("a"), byteCount: 700_002, to: subject.path("c"))
            } == ENODATA)
        #expect(try subject.fileSystem.list(subject.root) == ["a", "b"])
    }

    @Test("a copied prefix is synced")
    func copyIsSynced() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        try system.open("/data/a", .create).write(all: bytes("hello"), at: 0)
        try system.copyPrefix(of: "/data/a", byteCount: 4, to: "/data/b")
        try system.syncDirectory("/data")
        let after = system.crash(keeping: .nothing)
        #expect(try after.readWhole("/data/b", byteCountMax: 100) == bytes("hell"))
        #expect(try after.readWhole("/data/a", byteCountMax: 100) == [])
    }

    @Test("short reads and writes are continued, and no progress is an error")
    func shortCalls() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let file = try system.open("/data/a", .create)
        system.plan(Fault(.short(byteCount: 3), repeats: true))
        try file.write(all: bytes("hello world"), at: 0)
        #expect(try file.read(byteCount: 20, at: 0) == bytes("hello world"))
        #expect(system.count(.write) == 4)
        system.clearFaults()
        system.plan(Fault(.short(byteCount: 0), on: .write))
        #expect(errorCode { try file.write(all: bytes("x"), at: 0) } == EIO)
    }

    @Test("an error says what failed, where, why and what to do")
    func messages() {
        let error = FileError(operation: "write", path: "/data/x.log", code: ENOSPC)
        #expect(
            error.description
                == "cannot write /data/x.log: No space left on device (errno 28); "
                + "free space on that file system (nothing of the failed operation is kept)")
        #expect(error.isNoSpace && !error.isInputOutput)
        #expect(FileError(operation: "sync", path: "x", code: EIO).isInputOutput)
        #expect(
            FileError(operation: "open", path: "x", code: EMFILE).description.contains("ulimit"))
        #expect(parentDirectory(of: "/a/b") == "/a")
        #expect(parentDirectory(of: "/a") == "/")
        #expect(parentDirectory(of: "a") == ".")
    }
}
