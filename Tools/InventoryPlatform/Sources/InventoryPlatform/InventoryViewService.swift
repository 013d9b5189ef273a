import ServiceLifecycle
import Tally
import TallyStateStore

/// Keeps the inventory projection in `state.db` up to date: what `tally stock` shows, and what
/// `InventoryQueries` answers from.
///
/// **Why once.** Rows and positions are written in one SQLite transaction (`InventoryProjector`).
/// One instance at a time; a second one is noticed by the first, and nothing is counted twice.
public struct InventoryViewService: Service {
    let engine: Engine
    let database: StateDatabase
    let interval: Duration

    /// A view in the database of the engine's own state.
    ///
    /// - Parameter interval: how often it looks for news: the age of the view at most, or so.
    public init(
        engine: Engine, database: StateDatabase, interval: Duration = .milliseconds(50)
    ) {
        self.engine = engine
        self.database = database
        self.interval = interval
    }

    /// Projects until the service group shuts down.
    public func run() async throws {
        let projector = InventoryProjector(engine: engine, database: database)
        while !Task.isShuttingDownGracefully {
            try await projector.catchUp(topic: Topics.events)
            try await Task.sleep(for: interval)
        }
    }
}
