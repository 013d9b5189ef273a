import TallyReplication

/// A coordination store that was just made, and has nothing in it: what a check is run on.
package protocol CoordinationFixture: Sendable {
    /// Another client of the same store, as another process would have it.
    func client() async throws -> any CoordinationStore
    /// Lets the store forget its history up to and with `revision`.
    func compact(through revision: CoordinationRevision) async throws
    /// The least time that the store grants a lease for, in seconds.
    var leaseSecondsMin: Int64 { get }
}

/// One promise of ``CoordinationStore``, and how to see whether a store keeps it.
package struct ConformanceCheck: Sendable, CustomStringConvertible {
    /// The promise, as a sentence.
    package let description: String
    /// Records what is wrong.
    package let run: @Sendable (any CoordinationFixture) async throws -> Void

    init(
        _ description: String,
        _ run: @escaping @Sendable (any CoordinationFixture) async throws -> Void
    ) {
        self.description = description
        self.run = run
    }

    /// All of them.
    package static let all: [ConformanceCheck] =
        transactionChecks + readChecks + watchChecks + leaseChecks + [randomCheck]
}

extension CoordinationStore {
    /// A transaction that must be done.
    @discardableResult
    func put(
        _ key: String, _ value: [UInt8] = [1], lease: LeaseID? = nil
    ) async throws -> CoordinationRevision {
        try await commit(.put(key: key, value: value, lease: lease))
    }

    /// A transaction that must be done.
    @discardableResult
    func commit(
        if conditions: [CoordinationCondition] = [], _ operations: CoordinationOperation...
    ) async throws -> CoordinationRevision {
        let transaction = try CoordinationTransaction(
            conditions: conditions, operations: operations)
        guard case .success(let revision) = try await commit(transaction) else {
            throw Unexpected(text: "a conflict of \(conditions)")
        }
        return revision
    }

    /// All keys with a prefix.
    func keys(_ prefix: String = "") async throws -> [String] {
        try await read(prefix: prefix).entries.map(\.key)
    }

    /// The changes after a revision, of so many batches, until there are `count`.
    func changes(
        _ prefix: String = "", after: CoordinationRevision, count: Int
    ) async throws -> [CoordinationChange] {
        var changes: [CoordinationChange] = []
        guard count > 0 else { return [] }
        for try await batch in watch(prefix: prefix, after: after) {
            changes += batch.changes
            if changes.count >= count { break }
        }
        return changes
    }
}

/// What a check came upon that nothing can be done behind.
struct Unexpected: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}
