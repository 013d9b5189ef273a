import FoundationEssentials
import TallyFiles
import TallyLog

/// A file of JSON in the data directory, for people and for commands that look from outside: where
/// it is lost or damaged nothing depends on it, and it begins anew. A value; blocks.
struct NotesFile {
    /// Its name in the directory.
    let name: String
    private static let byteCountMax = 64 << 20

    /// What the file says; nil where there is none that makes sense.
    func read<Contents: Decodable>(
        _ type: Contents.Type, from directory: String, on fileSystem: any FileSystem
    ) -> Contents? {
        let path = joinPath(directory, name)
        guard let found = try? fileSystem.readWhole(path, byteCountMax: Self.byteCountMax) else {
            return nil
        }
        return try? JSONDecoder().decode(type, from: Data(found))
    }

    /// Replaces the file.
    func write(
        _ contents: some Encodable, to directory: String, on fileSystem: any FileSystem
    ) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let bytes = try encoder.encode(contents)
        try fileSystem.replace(
            joinPath(directory, name), with: Array(bytes) + [UInt8(ascii: "\n")])
    }
}
