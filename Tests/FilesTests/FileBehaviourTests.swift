import Glibc
import TallyFiles
import TallyTestSupport
import Testing

@Suite("files behave the same on disk and simulated")
struct FileBehaviourTests {
    @Test("open modes create, refuse and keep as they say", arguments: SubjectKind.allCases)
    func openModes(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let path = subject.path("a")
        #expect(errorCode { _ = try subject.fileSystem.open(path, .read) } == ENOENT)
        #expect(errorCode { _ = try subject.fileSystem.open(path, .write) } == ENOENT)
        try subject.fileSystem.open(path, .createNew).write(all: bytes("kept"), at: 0)
        #expect(errorCode { _ = try subject.fileSystem.open(path, .createNew) } == EEXIST)
        #expect(try subject.fileSystem.open(path, .create).byteCount() == 4)
        #expect(try subject.fileSystem.open(path, .write).byteCount() == 4)
        let reader = try subject.fileSystem.open(path, .read)
        #expect(errorCode { try reader.write(all: bytes("x"), at: 0) } == EBADF)
        #expect(
            errorCode { _ = try subject.fileSystem.open(subject.path("b/c"), .create) } == ENOENT)
        #expect(
            errorCode { _ = try subject.fileSystem.open(path + "/c", .create) } == ENOTDIR)
    }

    @Test(
        "what is written is read, and the end of the file ends a read",
        arguments: SubjectKind.allCases)
    func readsAndWrites(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let file = try subject.file("a", bytes("hello"))
        try file.write(all: bytes("world"), at: 8)
        #expect(try file.byteCount() == 13)
        #expect(try file.read(byteCount: 13, at: 0) == bytes("hello\0\0\0world"))
        #expect(try file.read(byteCount: 100, at: 10) == bytes("rld"))
        #expect(try file.read(byteCount: 5, at: 13) == [])
        #expect(try file.read(byteCount: 5, at: 1 << 40) == [])
        #expect(try file.read(byteCount: 0, at: 0) == [])
        try file.write(all: [UInt8](), at: 20)
        #expect(try file.byteCount() == 13)
        #expect(errorCode { _ = try file.read(byteCount: 1, at: -1) } == EINVAL)
        #expect(errorCode { try file.write(all: bytes("x"), at: -1) } == EINVAL)
        try file.sync()
    }

    @Test("truncating shortens, and lengthens with zeros", arguments: SubjectKind.allCases)
    func truncate(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let file = try subject.file("a", bytes("hello"))
        try file.truncate(to: 2)
        try file.truncate(to: 4)
        #expect(try subject.bytes("a") == bytes("he\0\0"))
        #expect(errorCode { try file.truncate(to: -1) } == EINVAL)
    }

    @Test("reserving space leaves the length alone", arguments: SubjectKind.allCases)
    func reserve(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let file = try subject.file("a", bytes("hello"))
        if try file.reserve(0..<1_000_000), kind == .posix {
            var status = stat()
            #expect(stat(file.path, &status) == 0)
            #expect(status.st_blocks * 512 >= 1_000_000)
        }
        _ = try file.reserve(5..<5)
        #expect(try file.byteCount() == 5)
        #expect(try subject.bytes("a") == bytes("hello"))
    }

    @Test("a mapping larger than the file shows later appends", arguments: SubjectKind.allCases)
    func mapping(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let file = try subject.file("a", bytes("hello"))
        let mapping = try file.map(byteCount: 1 << 20)
        #expect(mapping.byteCount == 1 << 20)
        #expect(copy(mapping, 0..<5) == bytes("hello"))
        try file.write(all: [UInt8](repeating: 7, count: 10_000), at: 5)
        #expect(copy(mapping, 5..<10_005) == [UInt8](repeating: 7, count: 10_000))
        try mapping.populate(3..<10_005)
        mapping.advise(.willNeed, 0..<10_005)
        mapping.advise(.dontNeed, 5000..<10_005)
        #expect(copy(mapping, 10_000..<10_005) == [7, 7, 7, 7, 7])
        #expect(copy(mapping, 9..<9) == [])
        #expect(errorCode { _ = try file.map(byteCount: 0) } == EINVAL)
    }

    @Test("a mapping outlives its file's descriptor and its name", arguments: SubjectKind.allCases)
    func mappingOutlivesFile(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let mapping = try subject.file("a", bytes("hello")).map(byteCount: 5)
        try subject.fileSystem.remove(subject.path("a"))
        try mapping.populate(0..<5)
        #expect(copy(mapping, 0..<5) == bytes("hello"))
    }

    @Test("populating beyond the end of the file throws", arguments: SubjectKind.allCases)
    func populateBeyondEnd(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let file = try subject.file("a", [UInt8](repeating: 1, count: 5000))
        let mapping = try file.map(byteCount: 1 << 20)
        try mapping.populate(0..<5000)
        try mapping.populate(9..<9)
        #expect(errorCode { try mapping.populate(4000..<100_000) } == EIO)
        #expect(errorCode { try mapping.populate(65_536..<65_537) } == EIO)
    }

    @Test("bytes outside a mapping are a programmer error")
    func outsideMapping() async {
        await #expect(processExitsWith: .failure) {
            let subject = try Subject(.simulated)
            let mapping = try subject.file("a", bytes("hello")).map(byteCount: 5)
            _ = copy(mapping, 2..<6)
        }
    }

    @Test("directories list, describe and remove what is in them", arguments: SubjectKind.allCases)
    func directories(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let system = subject.fileSystem
        try system.createDirectory(subject.path("d"))
        try system.createDirectory(subject.path("d"))
        for name in ["d/b", "d/a", "d/.hidden", "d/Z"] { _ = try subject.file(name) }
        #expect(try system.list(subject.path("d")) == [".hidden", "Z", "a", "b"])
        #expect(try system.information(subject.path("d"))?.isDirectory == true)
        #expect(try system.information(subject.path("d/a"))?.isDirectory == false)
        #expect(try system.information(subject.path("d/x")) == nil)
        #expect(try system.information(subject.path("x/x")) == nil)
        #expect(errorCode { try system.createDirectory(subject.path("d/a")) } == EEXIST)
        #expect(errorCode { try system.createDirectory(subject.path("x/y")) } == ENOENT)
        #expect(errorCode { try system.removeDirectory(subject.path("d")) } == ENOTEMPTY)
        #expect(errorCode { try system.remove(subject.path("x")) } == ENOENT)
        #expect(errorCode { _ = try system.list(subject.path("x")) } == ENOENT)
        #expect(errorCode { _ = try system.list(subject.path("d/a")) } == ENOTDIR)
        for name in try system.list(subject.path("d")) {
            try system.remove(subject.path("d/" + name))
        }
        try system.syncDirectory(subject.path("d"))
        try system.removeDirectory(subject.path("d"))
        try system.syncDirectory(subject.root)
        #expect(try system.list(subject.root) == [])
        #expect(errorCode { try system.syncDirectory(subject.path("d")) } == ENOENT)
    }

    @Test(
        "renaming replaces, keeps the identity, and moves directories",
        arguments: SubjectKind.allCases)
    func rename(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let system = subject.fileSystem
        let identity = try subject.file("a", bytes("new")).information().identity
        let replaced = try subject.file("b", bytes("old"))
        try system.rename(subject.path("a"), to: subject.path("b"))
        #expect(try system.list(subject.root) == ["b"])
        #expect(try subject.bytes("b") == bytes("new"))
        #expect(try system.information(subject.path("b"))?.identity == identity)
        #expect(try replaced.information().identity != identity)
        #expect(try replaced.read(byteCount: 3, at: 0) == bytes("old"))
        #expect(errorCode { try system.rename(subject.path("a"), to: subject.path("c")) } == ENOENT)
        try system.createDirectory(subject.path("d"))
        _ = try subject.file("d/x", bytes("x"))
        try system.rename(subject.path("d"), to: subject.path("e"))
        #expect(try subject.bytes("e/x") == bytes("x"))
        #expect(try system.list(subject.root) == ["b", "e"])
    }

    @Test("the time of a file moves on when it is written", arguments: SubjectKind.allCases)
    func modificationTime(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let file = try subject.file("a")
        let before = try file.information().modificationTime
        #expect(before > .seconds(1_500_000_000))
        usleep(20_000)
        try file.write(all: bytes("x"), at: 0)
        #expect(try file.information().modificationTime > before)
    }
}
