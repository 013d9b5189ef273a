import TallyCoordinationConformance
import TallyReplication
import Testing

/// The store in memory, by a real clock, with somebody who ends its leases.
@Suite("The coordination store in memory keeps what is promised", .timeLimit(.minutes(2)))
struct MemoryConformanceTests {
    private struct Fixture: CoordinationFixture {
        let store: MemoryCoordinationStore
        let leaseSecondsMin: Int64 = 1

        init() {
            let begun = ContinuousClock.now
            store = MemoryCoordinationStore {
                CoordinationInstant(
                    milliseconds: Int64((ContinuousClock.now - begun) / .milliseconds(1)))
            }
        }

        func client() -> any CoordinationStore { store }
        func compact(through revision: CoordinationRevision) { store.compact(through: revision) }
    }

    @Test("it keeps what is promised", arguments: ConformanceCheck.all)
    func conforms(check: ConformanceCheck) async throws {
        let fixture = Fixture()
        let expiry = Task {
            while !Task.isCancelled {
                fixture.store.expire()
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        defer { expiry.cancel() }
        try await check.run(fixture)
    }
}
