import Foundation
import TallyFiles
import TallyTestSupport
import Testing

@Suite("locks keep every second holder out")
struct LockTests {
    @Test(
        "a second engine of the same process is refused and told who holds the lock",
        arguments: SubjectKind.allCases)
    func sameProcess(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let path = subject.path(".lock")
        let lock = try subject.fileSystem.lock(path, contents: "4711")
        #expect(holder(subject.fileSystem, path) == .held(by: "4711"))
        #expect(try subject.bytes(".lock") == bytes("4711"))
        lock.release()
        #expect(try subject.bytes(".lock") == [])
        let second = try subject.fileSystem.lock(path, contents: "12")
        // A second release of the first lock must not touch its successor.
        lock.release()
        #expect(holder(subject.fileSystem, path) == .held(by: "12"))
        second.release()
    }

    @Test("a lock ends with its last reference", arguments: SubjectKind.allCases)
    func endsWithReference(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        let path = subject.path(".lock")
        do {
            let lock = try subject.fileSystem.lock(path, contents: "1")
            #expect(holder(subject.fileSystem, path) != nil)
            withExtendedLifetime(lock) {}
        }
        #expect(holder(subject.fileSystem, path) == nil)
    }

    @Test(
        "a lock file that cannot be created is an error and not a holder",
        arguments: SubjectKind.allCases)
    func failure(_ kind: SubjectKind) throws {
        let subject = try Subject(kind)
        guard case .failed(let error) = holder(subject.fileSystem, subject.path("x/.lock")) else {
            Issue.record("no error")
            return
        }
        #expect(error.isAbsent)
    }

    @Test("a full disk does not keep anybody from locking")
    func fullDisk() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        system.capacityBytes = 0
        let lock = try system.lock("/data/.lock", contents: "4711")
        #expect(holder(system, "/data/.lock") == .held(by: ""))
        lock.release()
    }

    @Test("locks of a killed process are gone")
    func killed() throws {
        let system = SimulatedFileSystem(directories: ["/data"])
        let lock = try system.lock("/data/.lock", contents: "1")
        let after = system.processCrash()
        #expect(holder(after, "/data/.lock") == nil)
        withExtendedLifetime(lock) {}
    }

    @Test("the POSIX lock of another process, as Kafka takes it, keeps us out by its pid")
    func posixHolder() throws {
        let subject = try Subject(.posix)
        let path = subject.path(".lock")
        try subject.file(".lock").write(all: bytes("a stale pid"), at: 0)
        let other = try OtherProcess(path, .processLock)
        #expect(other.answer == "locked")
        #expect(holder(subject.fileSystem, path) == .held(by: String(other.pid)))
        other.end()
        #expect(holder(subject.fileSystem, path) == nil)
    }

    @Test("an engine in another process keeps us out by what it wrote")
    func engineHolder() throws {
        let subject = try Subject(.posix)
        let path = subject.path(".lock")
        try subject.file(".lock").write(all: bytes("31337"), at: 0)
        let other = try OtherProcess(path, .openFileLock)
        #expect(other.answer == "locked")
        #expect(holder(subject.fileSystem, path) == .held(by: "31337"))
        other.end()
    }

    @Test(
        "our lock keeps other processes out, Kafka's kind of lock included",
        arguments: OtherProcess.Kind.allCases)
    func keepsOthersOut(_ kind: OtherProcess.Kind) throws {
        let subject = try Subject(.posix)
        let path = subject.path(".lock")
        let lock = try subject.fileSystem.lock(path, contents: "1")
        let refused = try OtherProcess(path, kind)
        #expect(refused.answer == "refused")
        refused.end()
        lock.release()
        let accepted = try OtherProcess(path, kind)
        #expect(accepted.answer == "locked")
        accepted.end()
    }

    /// Why the lock is refused; nil, and the lock given up, where it is not.
    private func holder(_ system: any FileSystem, _ path: String) -> FileLockError? {
        do throws(FileLockError) {
            try system.lock(path, contents: "probe").release()
            return nil
        } catch {
            return error
        }
    }
}

/// Another process (perl, which every Debian has) that tries to lock a file and holds the lock
/// until it is ended.
struct OtherProcess {
    enum Kind: Int, CaseIterable {
        /// F_SETLK, as Java's FileChannel takes it.
        case processLock = 6
        /// F_OFD_SETLK, as this engine takes it.
        case openFileLock = 37
    }

    let answer: String
    private let process = Process()
    private let input = Pipe()

    var pid: Int32 { process.processIdentifier }

    init(_ path: String, _ kind: Kind) throws {
        // struct flock of 64-bit Linux: F_WRLCK, SEEK_SET, start, length (0: to the end), pid.
        let script = """
            open(my $file, '+<', $ARGV[0]) or die;
            my $lock = pack('s s x4 q q i x4', 1, 0, 0, 0, 0);
            $| = 1; print fcntl($file, $ARGV[1], $lock) ? 'locked' : 'refused', "\\n"; <STDIN>;
            """
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/perl")
        process.arguments = ["-e", script, path, String(kind.rawValue)]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let line = output.fileHandleForReading.availableData
        answer = String(decoding: line, as: UTF8.self).trimmingCharacters(in: .newlines)
    }

    func end() {
        input.fileHandleForWriting.closeFile()
        process.waitUntilExit()
    }
}
