import Metrics
import NIOCore
import TallyFiles

/// The connections there are: counted against their limits, and to be stopped together.
///
/// Thread rule: any thread.
final class ConnectionRegister: Sendable {
    private let countMax: Int
    private let countPerAddressMax: Int
    private let state = UnfairLock(State())

    private struct State: Sendable {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var counts: [String: Int] = [:]
        var isStopping = false
    }

    init(countMax: Int, countPerAddressMax: Int) {
        self.countMax = countMax
        self.countPerAddressMax = countPerAddressMax
    }

    /// How many there are.
    var count: Int { state.withLock { $0.channels.count } }

    /// Whether there are to be no more.
    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Takes a connection in; false where there are too many already.
    func add(_ channel: any Channel, from host: String) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isStopping, state.channels.count < countMax,
                state.counts[host, default: 0] < countPerAddressMax
            else { return false }
            state.channels[ObjectIdentifier(channel)] = channel
            state.counts[host, default: 0] += 1
            return true
        }
        guard isTaken else { return false }
        ServerMetrics.connections.record(count)
        channel.closeFuture.whenComplete { [weak self] _ in self?.remove(channel, from: host) }
        return true
    }

    private func remove(_ channel: any Channel, from host: String) {
        let left = state.withLock { state in
            state.channels.removeValue(forKey: ObjectIdentifier(channel))
            state.counts[host, default: 1] -= 1
            if state.counts[host] == 0 { state.counts[host] = nil }
            return state.channels.count
        }
        ServerMetrics.connections.record(left)
    }

    /// Takes no more; returns those that there are.
    func stop() -> [any Channel] {
        state.withLock { state in
            state.isStopping = true
            return Array(state.channels.values)
        }
    }
}
