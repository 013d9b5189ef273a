import Foundation
import Logging
import Tally

/// Opens the engine of a data directory for one command, and closes it whatever happens.
///
/// - Parameters:
///   - isAtRest: whether nothing is cleaned or retired meanwhile.
///   - state: where groups are kept, for commands that need them.
func withEngine<Success: Sendable>(
    at directory: String, durability: Durability? = nil, isAtRest: Bool = false,
    state: EngineStateFactory = .inMemory,
    _ body: @Sendable (Engine) async throws -> Success
) async throws -> Success {
    var configuration = EngineConfiguration()
    if let durability { configuration.durability = durability }
    configuration.state = state
    if isAtRest {
        configuration.isCleanerEnabled = false
        configuration.retentionCheckIntervalMilliseconds = 1000 * 86_400_000
    }
    configuration.logger = Logger(label: "tally") { StreamLogHandler.standardError(label: $0) }
    configuration.logger.logLevel = .warning
    let engine = try await Engine.open(at: directory, configuration: configuration)
    do {
        let result = try await body(engine)
        try await engine.close()
        return result
    } catch {
        try? await engine.close()
        throw error
    }
}
