import Synchronization

/// Whether logs may take new space of the disk. Shut for moments, while the engine's last reserve
/// is handed to what makes room or keeps what was promised: or the next append would take it.
///
/// Thread rule: any thread.
package final class SpaceGate: Sendable {
    private let shutCount = Atomic<Int>(0)

    /// Open.
    package init() {}

    /// Appends that need space are refused as by a full disk, until it is opened as often again.
    package func shut() { shutCount.add(1, ordering: .acquiringAndReleasing) }

    /// Takes one ``shut()`` back.
    package func open() { shutCount.subtract(1, ordering: .acquiringAndReleasing) }

    /// Whether somebody has shut it.
    package var isShut: Bool { shutCount.load(ordering: .acquiring) > 0 }
}
