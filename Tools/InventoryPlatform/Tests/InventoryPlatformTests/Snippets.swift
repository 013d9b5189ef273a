import InventoryPlatform
import Logging
import ServiceLifecycle

/// What the doc comment of `Platform` shows, compiled. Nothing calls it.
func platformSnippet(_ logger: Logger) async throws {
    let platform = try await Platform.open(at: "platform-data")
    let group = ServiceGroup(
        services: platform.services, gracefulShutdownSignals: [.sigterm], logger: logger)
    try await group.run()
}
