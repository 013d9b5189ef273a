/// The changes to a prefix as they come: see ``CoordinationStore/watch(prefix:after:)``.
///
/// Each iterator begins at the revision that was asked for. Batches are fetched when they are
/// asked for, so a reader that is slow holds nothing up, and may get `compacted`.
public struct CoordinationWatch: AsyncSequence, Sendable {
    /// A batch with at least one change.
    public typealias Element = CoordinationChanges
    /// Why it ended.
    public typealias Failure = CoordinationError

    private let makeSource: @Sendable () -> any CoordinationWatchSource

    /// A watch whose iterators ask a source of their own each.
    public init(_ makeSource: @escaping @Sendable () -> any CoordinationWatchSource) {
        self.makeSource = makeSource
    }

    /// An iterator, from the revision that was asked for.
    public func makeAsyncIterator() -> Iterator { Iterator(source: makeSource()) }

    /// Gives one batch after the other. One task at a time.
    public struct Iterator: AsyncIteratorProtocol {
        private let source: any CoordinationWatchSource
        private var isFinished = false

        fileprivate init(source: any CoordinationWatchSource) { self.source = source }

        /// The next batch, as soon as there is one; nil once the task is cancelled, or after an
        /// error.
        public mutating func next(
            isolation actor: isolated (any Actor)? = #isolation
        ) async throws(CoordinationError) -> CoordinationChanges? {
            while !isFinished {
                do throws(CoordinationError) {
                    guard let batch = try await source.next() else {
                        isFinished = true
                        break
                    }
                    if !batch.changes.isEmpty { return batch }
                } catch {
                    isFinished = true
                    throw error
                }
            }
            return nil
        }

        /// As `next(isolation:)`.
        public mutating func next() async throws(CoordinationError) -> CoordinationChanges? {
            try await next(isolation: nil)
        }
    }
}

/// Where an iterator of a ``CoordinationWatch`` gets its batches. Asked by one task at a time.
public protocol CoordinationWatchSource: Sendable {
    /// Waits until there are changes behind the last ones that were given, and gives them: each
    /// once, in order. A batch may be empty. Nil once the task is cancelled.
    func next() async throws(CoordinationError) -> CoordinationChanges?
}
