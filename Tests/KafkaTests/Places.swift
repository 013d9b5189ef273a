import Tally
import TallyKafka
import TallyServed
import TallyStateStore

/// Where the same application code has to do the same.
enum Place: String, CaseIterable, Sendable {
    case embedded
    case served

    /// Runs a closure with a backend, and with the engine that is behind it in any case.
    func with(
        _ body: (Backend, Engine) async throws -> Void
    ) async throws {
        try await ServedEngine.withState { served in
            switch self {
            case .embedded: try await body(.embedded(served.engine), served.engine)
            case .served:
                let backend = try Backend.kafka(bootstrap: served.address)
                try await body(backend, served.engine)
                try await backend.close()
            }
        }
    }
}

extension ServedEngine {
    /// One that keeps groups and transactions.
    static func withState(_ body: (ServedEngine) async throws -> Void) async throws {
        try await with({ $0.state = .sqlite }, body)
    }
}

/// All values of a topic by partition, as a new consumer sees them.
func values(
    of topic: String, in backend: Backend, _ isolation: IsolationLevel = .readUncommitted
) async throws -> [Int32: [String]] {
    var configuration = ConsumerConfiguration(end: .currentEnd)
    configuration.isolation = isolation
    let consumer = try backend.consumer(
        assigning: try await backend.partitions(ofTopic: topic), configuration)
    var values: [Int32: [String]] = [:]
    for try await fetched in consumer {
        try fetched.forEachRecord { record in
            values[fetched.partition, default: []].append(record.valueText ?? "null")
        }
    }
    return values
}
