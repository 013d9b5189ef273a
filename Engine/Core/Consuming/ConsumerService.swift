public import ServiceLifecycle

/// A member of a group as a service: runs until the surrounding service group shuts down.
///
/// ```swift
/// let billing = ConsumerService(consumer) { records in
///     try records.forEachRecord { record in
///         print(record.offset, record.valueText ?? "")
///     }
/// }
/// // The last one is shut down first.
/// let services: [any Service] = [engine, ProducerService(producer), billing]
/// try await ServiceGroup(
///     services: services, gracefulShutdownSignals: [.sigterm], logger: logger
/// ).run()
/// ```
///
/// A value type.
public struct ConsumerService: Service {
    private let consumer: GroupConsumer
    private let isCommitting: Bool
    private let body: @Sendable (ConsumedRecords) async throws -> Void

    /// - Parameters: see ``GroupConsumer/run(isCommitting:isolation:handling:)``.
    public init(
        _ consumer: GroupConsumer, isCommitting: Bool = true,
        handling body: @escaping @Sendable (ConsumedRecords) async throws -> Void
    ) {
        self.consumer = consumer
        self.isCommitting = isCommitting
        self.body = body
    }

    /// See ``GroupConsumer/run(isCommitting:isolation:handling:)``.
    public func run() async throws {
        try await consumer.run(isCommitting: isCommitting, handling: body)
    }
}

/// A producer as a service: what it has taken is delivered before the services that were started
/// before it, the engine for one, are shut down. A value type.
public struct ProducerService: Service {
    private let producer: Producer

    /// The service of a producer.
    public init(_ producer: Producer) { self.producer = producer }

    /// Waits for the shutdown, or for being cancelled, and delivers what is left.
    ///
    /// Throws as ``Producer/flush()``.
    public func run() async throws {
        try? await gracefulShutdown()
        // Not the caller's task, which may be cancelled: records must not be left behind.
        try await Task { [producer] in try await producer.flush() }.value
    }
}

extension GroupConsumer {
    /// Hands each element to a closure, and commits behind it when the closure has returned (or,
    /// with `enable.auto.commit`, as often as that says), until the sequence ends or the
    /// surrounding service group shuts down. Then what is being handled is finished and committed,
    /// and the member leaves its group: others go on at once.
    ///
    /// A commit that a rebalance has overtaken is no error: those records are read again, by
    /// whoever has the partition now (at least once).
    ///
    /// - Parameter isCommitting: false where the closure commits by itself: in a transaction
    ///   (``Producer/sendOffsets(behind:of:)-(ConsumedRecords,_)``), or in a database of its own.
    ///
    /// Throws what the closure throws, behind which nothing is committed; what the iteration and
    /// ``close()`` throw; `CancellationError`. The member has left in any case.
    public func run(
        isCommitting: Bool = true, isolation: isolated (any Actor)? = #isolation,
        handling body: (ConsumedRecords) async throws -> Void
    ) async throws {
        do {
            try await withGracefulShutdownHandler {
                for try await records in self {
                    try await body(records)
                    if isCommitting, !configuration.isAutoCommitting {
                        try await commitUnlessOvertaken(records)
                    }
                }
            } onGracefulShutdown: { [weak self] in
                self?.stopAsking()
            }
        } catch {
            // The first error tells why; leaving goes on without it.
            try? await close()
            throw error
        }
        try await close()
    }

    private func commitUnlessOvertaken(_ records: ConsumedRecords) async throws {
        do {
            try await commit(records)
        } catch EngineError.group(let error) where error.isOvertaken {
        }
    }
}
