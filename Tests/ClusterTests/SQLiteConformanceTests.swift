import TallyCoordinationConformance
import TallyReplication
import TallyTestSupport
import Testing

@testable import TallyStateStore

@Suite("The coordination store in SQLite keeps what is promised", .timeLimit(.minutes(5)))
struct SQLiteConformanceTests {
    /// Each client has connections of its own, as another process would.
    private struct Fixture: CoordinationFixture {
        let path: String
        let leaseSecondsMin: Int64 = 1

        func client() throws -> any CoordinationStore { try SQLiteCoordinationStore(path: path) }

        func compact(through revision: CoordinationRevision) async throws {
            let store = try SQLiteCoordinationStore(path: path)
            try await store.compact(through: revision)
            await store.close()
        }
    }

    @Test("it keeps what is promised", arguments: ConformanceCheck.all)
    func conforms(check: ConformanceCheck) async throws {
        let directory = try TemporaryDirectory()
        defer { directory.close() }
        try await check.run(Fixture(path: directory.path + "/cluster.db"))
    }
}
