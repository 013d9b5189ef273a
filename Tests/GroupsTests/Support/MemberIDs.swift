import Synchronization

/// Numbers for member ids, each once; also over the coordinators that follow each other in a world.
final class MemberIDs: Sendable {
    private let last = Atomic<Int>(0)

    func next() -> Int { last.add(1, ordering: .relaxed).newValue }
}
