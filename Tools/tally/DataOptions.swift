import ArgumentParser
import TallyFiles

/// What every command that opens a data directory takes.
struct DataOptions: ParsableArguments {
    /// Where the data is unless it is said.
    static let directory = "./tally-data"

    @Option(name: .long, help: "The data directory.")
    var data = DataOptions.directory

    /// Refuses a directory that is not there. For commands that need what is in it: opening an
    /// engine would create it, and leave an empty one behind where its name was mistyped.
    func requireDirectory() throws { try Self.requireDirectory(data) }

    /// The same for any path.
    static func requireDirectory(_ path: String) throws {
        let found = try PosixFileSystem().information(path)
        guard found?.isDirectory == true else {
            let reason =
                found == nil
                ? "there is no data directory \(path)" : "\(path) is a file and no directory"
            throw CommandFailure(
                "\(reason); name it with --data DIR", exitCode: ExitCodes.noInput)
        }
    }
}

/// What every command that prints rows takes.
struct RowOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON Lines: one object a row.")
    var json = false
}
