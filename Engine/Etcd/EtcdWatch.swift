#if Etcd
    import Foundation
    import Synchronization
    import TallyReplication

    /// Where one iterator of a watch gets its batches: a task reads the stream of etcd ahead, up to
    /// `changesMax` changes, and stops when nobody takes them. It is begun anew behind the last one
    /// when they were taken, and when the stream breaks.
    final class EtcdWatch: CoordinationWatchSource {
        private let reader: EtcdWatchReader
        private let task = Mutex<Task<Void, Never>?>(nil)

        init(
            transport: EtcdTransport, keys: EtcdKeys, prefix: String, after: CoordinationRevision
        ) {
            reader = EtcdWatchReader(
                transport: transport, keys: keys, prefix: prefix, after: after)
        }

        deinit { task.withLock { $0?.cancel() } }

        func next() async throws(CoordinationError) -> CoordinationChanges? {
            try CoordinationLimits.check(prefix: reader.prefix)
            while !Task.isCancelled {
                let seen = reader.signal.count
                if let batch = try reader.take() { return batch }
                if reader.begin() {
                    task.withLock { $0 = Task { [reader] in await reader.run() } }
                }
                await reader.signal.wait(past: seen)
            }
            task.withLock { $0?.cancel() }
            return nil
        }
    }

    /// The task's side of an ``EtcdWatch``. Any task.
    final class EtcdWatchReader: Sendable {
        let prefix: String
        let signal = ChangeSignal()
        private let transport: EtcdTransport
        private let keys: EtcdKeys
        private let asked: CoordinationRevision
        private let state: Mutex<State>

        private struct State {
            /// Nothing is missing up to here in `batches` and before them.
            var position: CoordinationRevision
            var batches: [CoordinationChanges] = []
            var changeCount = 0
            var isRunning = false
            var failure: CoordinationError?
        }

        /// So many changes are read ahead.
        static let changesMax = 10_000
        /// How long to wait before a stream that broke is begun anew: longer each time.
        static let pauseMilliseconds: ClosedRange<Int64> = 20...1000

        init(
            transport: EtcdTransport, keys: EtcdKeys, prefix: String, after: CoordinationRevision
        ) {
            self.transport = transport
            self.keys = keys
            self.prefix = prefix
            asked = after
            state = Mutex(State(position: after))
        }

        /// The next batch, if there is one; the failure behind the last.
        func take() throws(CoordinationError) -> CoordinationChanges? {
            let result: Result<CoordinationChanges?, CoordinationError> = state.withLock { state in
                if !state.batches.isEmpty {
                    let batch = state.batches.removeFirst()
                    state.changeCount -= batch.changes.count
                    return .success(batch)
                }
                if let failure = state.failure { return .failure(failure) }
                return .success(nil)
            }
            return try result.get()
        }

        /// Whether to start the task: none is running, and there is something to wait for.
        func begin() -> Bool {
            state.withLock { state in
                guard !state.isRunning, state.failure == nil, state.batches.isEmpty else {
                    return false
                }
                state.isRunning = true
                return true
            }
        }

        /// Reads one stream after the other, until there is enough, or an end.
        func run() async {
            var attempt = 0
            var pause = Self.pauseMilliseconds.lowerBound
            while !Task.isCancelled {
                let before = state.withLock { $0.position }
                do {
                    try await readStream(attempt: attempt)
                    // etcd closes a stream when it is shut down.
                } catch is Enough {
                    break
                } catch let error as CoordinationError {
                    state.withLock { $0.failure = error }
                    break
                } catch {
                    if transport.isClosed {
                        state.withLock { $0.failure = .unavailable(reason: "it was closed") }
                        break
                    }
                }
                attempt += 1
                if state.withLock({ $0.position }) > before {
                    pause = Self.pauseMilliseconds.lowerBound
                }
                try? await Task.sleep(for: .milliseconds(pause))
                pause = min(2 * pause, Self.pauseMilliseconds.upperBound)
            }
            state.withLock { $0.isRunning = false }
            signal.notify()
        }

        /// There are as many changes as are read ahead.
        private struct Enough: Error {}
        /// etcd has ended the watch; another may be begun.
        private struct Ended: Error {}

        private func readStream(attempt: Int) async throws {
            let position = state.withLock { $0.position }
            let request = Etcd.WatchRequest(
                create: Etcd.WatchRequest.Create(
                    key: keys.data(prefix), rangeEnd: keys.end(ofPrefix: prefix),
                    // 0 would be "from now on".
                    startRevision: EtcdNumber(max(1, position.next.rawValue))))
            try await transport.stream("/v3/watch", request, attempt: attempt) { line in
                let message: EtcdStreamed<Etcd.WatchResponse>
                do {
                    message = try JSONDecoder().decode(
                        EtcdStreamed<Etcd.WatchResponse>.self, from: line)
                } catch {
                    throw CoordinationError.corrupt(
                        reason: "etcd's watch does not speak as etcd does: \(error)")
                }
                guard let response = message.result else { throw Ended() }
                try take(response)
            }
        }

        private func take(_ response: Etcd.WatchResponse) throws {
            if let compacted = response.compactRevision?.value, compacted > 0 {
                // The changes of that revision itself are there.
                throw CoordinationError.compacted(
                    revision: state.withLock { max(asked, $0.position) },
                    oldest: CoordinationRevision(compacted - 1))
            }
            if response.canceled == true { throw Ended() }
            if response.created == true { return }
            let changes = try (response.events ?? []).map(keys.change)
            guard let last = changes.last?.revision else {
                // A word of progress: all up to here were sent.
                guard let revision = response.header?.revision?.value else { return }
                state.withLock { state in
                    state.position = max(state.position, CoordinationRevision(revision))
                }
                return
            }
            let isEnough = state.withLock { state in
                // Begun anew, a stream says nothing twice; but let that not depend on etcd.
                let new = changes.filter { $0.revision > state.position }
                guard !new.isEmpty else { return false }
                state.position = last
                state.batches.append(CoordinationChanges(changes: new, revision: last))
                state.changeCount += new.count
                return state.changeCount > Self.changesMax
            }
            signal.notify()
            if isEnough { throw Enough() }
        }
    }
#endif
