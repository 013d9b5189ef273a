import Synchronization

/// Whether logs may take new space of the disk. Shut for moments, while the engine's last reserve
/// is handed to what makes room or keeps what was promised: or the next append would take it.
///
/// Thread rule: any thread.
package final class SpaceGate: Sendable {
    private struct State {
        var shutCount = 0
        /// When it was shut last.
        var shutAt = ContinuousClock.now
    }

    private let state = Mutex(State())
    private let shutMax: Duration

    /// Open.
    ///
    /// - Parameter shutMax: after so long it counts as open. What still works then (a cleaning that
    ///   reads for hours) must not keep appends from space that has come back meanwhile; the worst
    ///   is that they take the reserve from it, and that it fails as it did without.
    package init(shutMax: Duration = .seconds(10)) { self.shutMax = shutMax }

    /// Appends that need space are refused as by a full disk, until it is opened as often again.
    package func shut() {
        state.withLock { state in
            state.shutCount += 1
            state.shutAt = .now
        }
    }

    /// Takes one ``shut()`` back.
    package func open() { state.withLock { $0.shutCount -= 1 } }

    /// Whether somebody has shut it, and not too long ago.
    package var isShut: Bool {
        state.withLock { $0.shutCount > 0 && .now - $0.shutAt < shutMax }
    }
}
