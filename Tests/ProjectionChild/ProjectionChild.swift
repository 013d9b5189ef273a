import Foundation
import Tally
import TallyStateStore

/// The process that the projection crash test starts and kills: opens a data directory and brings
/// the projection of its one topic up to date, in small transactions, as often as it is let.
@main
enum ProjectionChild {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let recordsPerCommit = Int(arguments[3]) else {
            fatalError("usage: DIRECTORY TOPIC RECORDS-PER-COMMIT")
        }
        let engine = try await Engine.open(at: arguments[1])
        let database = try StateDatabase(directory: arguments[1])
        var options = InventoryProjection.Options()
        options.recordsPerCommit = recordsPerCommit
        options.deduplicationWindow = 500
        let projector = InventoryProjector(engine: engine, database: database, options: options)
        say("open")
        try await projector.catchUp(topic: arguments[2])
        say("done")
        try await engine.close()
    }

    private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}
