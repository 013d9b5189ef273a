import Foundation
import Synchronization
import Tally
import TallyKafka
import TallyServer
import TallyStateStore
import TallyTestSupport

/// Where the same application code has to do the same.
enum Place: String, CaseIterable, Sendable {
    case embedded
    case served

    /// Runs a closure with a backend, and with the engine that is behind it in any case.
    func with(
        _ body: (Backend, Engine) async throws -> Void
    ) async throws {
        try await ServedEngine.with { served in
            switch self {
            case .embedded: try await body(.embedded(served.engine), served.engine)
            case .served:
                let backend = try Backend.kafka(bootstrap: served.address)
                try await body(backend, served.engine)
                try await backend.close()
            }
        }
    }
}

/// An engine with a server of it, in a directory of a test's own; the server can go and come back.
///
/// Thread rule: used by one test.
final class ServedEngine: Sendable {
    let engine: Engine
    private let state = Mutex<(server: TallyServer?, port: Int)>((nil, 0))

    private init(_ engine: Engine) { self.engine = engine }

    /// `HOST:PORT`.
    var address: String { "127.0.0.1:\(state.withLock { $0.port })" }

    static func with(_ body: (ServedEngine) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
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

    func start() async throws {
        var configuration = ServerConfiguration()
        configuration.port = state.withLock { $0.port }
        let server = try TallyServer(engine: engine, configuration: configuration)
        let address = try await server.start()
        state.withLock { $0 = (server, address.port) }
    }

    func stop() async {
        let server = state.withLock { state in
            defer { state.server = nil }
            return state.server
        }
        await server?.shutdown()
    }
}

/// All values of a topic by partition, as a new consumer sees them.
func values(
    of topic: String, in backend: Backend, _ isolation: IsolationLevel = .readUncommitted
) async throws -> [Int32: [String]] {
    var configuration = ConsumerConfiguration(end: .currentEnd)
    configuration.isolation = isolation
    let consumer = try backend.consumer(
        assigning: try await backend.partitions(ofTopic: topic), configuration)
    var values: [Int32: [String]] = [:]
    for try await fetched in consumer {
        try fetched.forEachRecord { record in
            values[fetched.partition, default: []].append(record.valueText ?? "null")
        }
    }
    return values
}
