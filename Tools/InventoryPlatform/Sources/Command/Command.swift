import Foundation
import InventoryPlatform
import Logging
import ServiceLifecycle
import Tally

/// `inventory-platform run --rows FILE.csv --data DIRECTORY`: the whole platform in one process.
@main
enum Command {
    static let usage = """
        usage: inventory-platform run --rows FILE.csv --data DIRECTORY

        Plays the sales in FILE.csv (a part of the data set "Online Retail") through the inventory
        platform, keeps everything in DIRECTORY, prints stocks, alerts, expired reservations and
        lag, and ends. Ctrl-C stops it; run again it goes on, and counts nothing twice.
        """

    static func main() async {
        do {
            let options = try Options(Array(CommandLine.arguments.dropFirst()))
            try await run(options)
        } catch {
            FileHandle.standardError.write(Data("inventory-platform: \(error)\n".utf8))
            exit(error is UsageError ? 64 : 1)
        }
    }

    private static func run(_ options: Options) async throws {
        let sales = try SalesFile(path: options.rows).sales
        // The day is in the past, and so is the platform's clock.
        let clock = PlatformClock(at: sales.first?.at ?? .now)
        let platform = try await Platform.open(at: options.data, clock: clock)
        let day = SalesDay(platform: platform, sales: sales) { line in
            // At once, whatever the output is: a page that comes in the end says nothing of where
            // a run was when it died.
            FileHandle.standardOutput.write(Data((line + "\n").utf8))
        }
        var services = platform.services.map {
            ServiceGroupConfiguration.ServiceConfiguration(service: $0)
        }
        services.append(
            .init(service: day, successTerminationBehavior: .gracefullyShutdownGroup))
        let group = ServiceGroup(
            configuration: .init(
                services: services, gracefulShutdownSignals: [.sigint, .sigterm],
                logger: Logger(label: "inventory-platform") { _ in SwiftLogNoOpLogHandler() }))
        try await group.run()
    }
}

/// What was typed.
struct Options {
    var rows: String
    var data: String

    init(_ arguments: [String]) throws(UsageError) {
        guard arguments.first == "run", arguments.count == 5 else {
            throw UsageError("\n\(Command.usage)")
        }
        var values: [String: String] = [:]
        for index in [1, 3] { values[arguments[index]] = arguments[index + 1] }
        guard let rows = values["--rows"], let data = values["--data"] else {
            throw UsageError("\n\(Command.usage)")
        }
        self.rows = rows
        self.data = data
    }
}
