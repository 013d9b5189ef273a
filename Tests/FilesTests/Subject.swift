import TallyFiles
import TallyTestSupport

/// The file systems that the behaviour tests run over.
enum SubjectKind: CaseIterable {
    case posix, simulated
}

/// A file system and an empty directory in it.
struct Subject {
    let fileSystem: any FileSystem
    let root: String
    private let temporary: TemporaryDirectory?

    init(_ kind: SubjectKind) throws {
        switch kind {
        case .posix:
            let temporary = try TemporaryDirectory()
            self.temporary = temporary
            fileSystem = PosixFileSystem()
            root = temporary.path
        case .simulated:
            temporary = nil
            fileSystem = SimulatedFileSystem(directories: ["/data"])
            root = "/data"
        }
    }

    func path(_ name: String) -> String { root + "/" + name }

    /// A new file with these bytes.
    func file(_ name: String, _ bytes: [UInt8] = []) throws -> any File {
        let file = try fileSystem.open(path(name), .createNew)
        try file.write(all: bytes, at: 0)
        return file
    }

    /// The bytes of a file; nil where there is none.
    func bytes(_ name: String) throws -> [UInt8]? {
        try fileSystem.readWhole(path(name), byteCountMax: 1 << 24)
    }
}

/// The error number that an operation throws; nil where it throws none.
func errorCode(_ operation: () throws -> Void) -> Int32? {
    do {
        try operation()
        return nil
    } catch let error as FileError {
        return error.code
    } catch {
        return -1
    }
}

/// The bytes of a text.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// A copy of what a mapping shows.
func copy(_ mapping: FileMapping, _ range: Range<Int>) -> [UInt8] {
    mapping.bytes(range).withUnsafeBytes { Array($0) }
}
