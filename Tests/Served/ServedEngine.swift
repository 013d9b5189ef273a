import Synchronization
package import Tally
import TallyServer
import TallyTestSupport

/// An engine with a server of it, in a directory of a test's own; the server can go and come back.
///
/// Thread rule: used by one test.
package final class ServedEngine: Sendable {
    /// The engine that is served.
    package let engine: Engine
    private let state = Mutex<(server: TallyServer?, port: Int)>((nil, 0))
    private let advertisedPort = Mutex<Int?>(nil)

    private init(_ engine: Engine) { self.engine = engine }

    /// The port of the server, which it keeps.
    package var port: Int { state.withLock { $0.port } }
    /// `HOST:PORT`.
    package var address: String { "127.0.0.1:\(port)" }

    /// Runs a closure with one that serves, and closes it in order, whatever happens.
    ///
    /// - Parameter fill: puts files into the data directory before it is opened.
    package static func with(
        _ change: (inout EngineConfiguration) -> Void = { _ in },
        fill: (String) throws -> Void = { _ in },
        _ body: (ServedEngine) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        try fill(directory.path)
        var configuration = EngineConfiguration()
        change(&configuration)
        let served = ServedEngine(
            try await Engine.open(at: directory.path, configuration: configuration))
        do {
            try await served.start()
            try await body(served)
        } catch {
            await served.stop()
            try? await served.engine.close()
            throw error
        }
        await served.stop()
        try await served.engine.close()
    }

    /// Has clients told another port from the next start on, behind which somebody hands on what
    /// comes.
    package func advertise(port: Int) { advertisedPort.withLock { $0 = port } }

    /// Listens, where it listened before.
    package func start() async throws {
        var configuration = ServerConfiguration()
        configuration.port = port
        configuration.advertisedPort = advertisedPort.withLock { $0 }
        let server = try TallyServer(engine: engine, configuration: configuration)
        let address = try await server.start()
        state.withLock { $0 = (server, address.port) }
    }

    /// Ends all connections, and listens no more.
    package func stop() async {
        let server = state.withLock { state in
            defer { state.server = nil }
            return state.server
        }
        await server?.shutdown()
    }
}
