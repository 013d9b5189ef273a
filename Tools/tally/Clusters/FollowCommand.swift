import ArgumentParser
import Foundation
import Tally
import TallyClient
import TallyServer
import TallyStateStore

/// `tally follow`.
struct FollowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "follow",
        abstract: "Keep a copy of a cluster's topics, read-only, until it is promoted.",
        discussion: """
            Copies as `tally import kafka` does, and goes on: records come as they are written, \
            topics and partitions as they are made, and what the cluster lets go of goes here \
            too. A cluster that cannot be reached is tried again for as long as it takes. Where a \
            copy has fallen so far behind that the cluster has no more what comes next, it begins \
            anew, and that is said.

            Topics that are followed take no records of their own. `tally promote` makes ordinary \
            ones of them. With --listen Kafka clients can read them meanwhile. Ctrl-C ends in \
            order; the same command goes on from there.
            """)

    @OptionGroup var source: SourceOptions

    @Option(help: "Let Kafka clients read here, HOST:PORT; port 0: the system chooses.")
    var listen: HostAndPort?

    @Option(help: "How often to look for new topics and partitions, in seconds.")
    var refresh = 10

    @OptionGroup var data: DataOptions

    func validate() throws {
        guard refresh >= 1 else { throw ValidationError("--refresh wants 1 second or more.") }
    }

    func run() async throws {
        let cluster = source.cluster
        let (source, directory, listen) = (source, data.data, listen)
        let interval = Duration.seconds(refresh)
        try await interruptible {
            do {
                try await withEngine(at: directory, state: .sqlite) { engine in
                    let server = try await Self.serve(engine, at: listen)
                    let copy = TopicCopy(
                        cluster: cluster, engine: engine, source: source.from.text)
                    var following = Following(copy, topics: source.topics.names, interval)
                    let outcome = await following.run()
                    await server?.shutdown()
                    try outcome.get()
                }
            } catch {
                await cluster.close()
                throw error
            }
        }
    }

    private static func serve(
        _ engine: Engine, at listen: HostAndPort?
    ) async throws -> TallyServer? {
        guard let listen else { return nil }
        var configuration = ServerConfiguration()
        (configuration.host, configuration.port) = (listen.host, listen.port)
        let server = try TallyServer(engine: engine, configuration: configuration)
        Console.out("Listening on \(try await server.start())")
        return server
    }
}
