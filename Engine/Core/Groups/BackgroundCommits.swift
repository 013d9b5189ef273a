import Synchronization
import TallyGroups
import TallyRecords

/// Commits that nobody waits for. One is on its way at a time; what is asked for meanwhile waits,
/// and goes together: however fast somebody asks, the store is asked as often as it answers.
///
/// Thread rule: any thread.
final class BackgroundCommits: Sendable {
    typealias Done = @Sendable (Result<Void, any Error>) -> Void
    typealias Refused = [TopicPartition: GroupError]
    typealias Commit = @Sendable ([TopicPartition: OffsetToCommit]) async throws -> Refused

    private typealias Waiting = (offsets: [TopicPartition: OffsetToCommit], done: Done?)

    private let state = Mutex(State())

    private struct State {
        /// What the last turn takes when it begins; empty where there is no turn to come.
        var waiting: [Waiting] = []
        /// The last turn. Each waits for the one before it.
        var last: Task<Void, Never>?
    }

    /// Has offsets committed by the next turn.
    func add(
        _ offsets: [TopicPartition: OffsetToCommit], done: Done?, by commit: @escaping Commit
    ) {
        state.withLock { state in
            let isFirst = state.waiting.isEmpty
            state.waiting.append((offsets, done))
            guard isFirst else { return }
            let before = state.last
            state.last = Task {
                await before?.value
                await self.takeTurn(commit)
            }
        }
    }

    /// Returns when everything that was asked for before is done.
    func wait() async { await state.withLock { $0.last }?.value }

    private func takeTurn(_ commit: Commit) async {
        let turn = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        // The newest position of a partition counts, as it would one after the other.
        let offsets = turn.reduce(into: [:]) { $0.merge($1.offsets) { _, newer in newer } }
        do {
            let refused = try await commit(offsets)
            for (offsets, done) in turn {
                done?(Result { try refused.filter { offsets[$0.key] != nil }.requireNone() })
            }
        } catch {
            await takeTurns(turn, commit, after: error)
        }
    }

    /// All were refused together, maybe for the sake of one (a partition that is somebody else's by
    /// now): each for itself.
    private func takeTurns(_ turn: [Waiting], _ commit: Commit, after error: any Error) async {
        guard turn.count > 1 else {
            for (_, done) in turn { done?(.failure(error)) }
            return
        }
        for (offsets, done) in turn {
            do {
                try await commit(offsets).requireNone()
                done?(.success(()))
            } catch {
                done?(.failure(error))
            }
        }
    }
}

extension [TopicPartition: GroupError] {
    /// Throws the first, by partition, of what was refused.
    func requireNone() throws(EngineError) {
        if let first = self.min(by: { $0.key < $1.key }) { throw .group(first.value) }
    }
}
