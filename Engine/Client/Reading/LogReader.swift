package import TallyRecords
import TallyWire

/// Reads partitions of a cluster from given offsets on, as raw batches: one request under way to
/// each broker that leads some of them, with all of those in it.
///
/// The next request to a broker goes out when the answer before it is handed over, so that one
/// answer a broker is read ahead, and no more. Thread rule: any task may change what is read; one
/// task at a time waits in ``next()``.
package actor LogReader {
    private let cluster: ClusterClient
    private let configuration: LogReaderConfiguration
    /// What is read, in the order in which it is asked for: who had something goes to the end, so
    /// that every partition has its turn.
    private var order: [TopicPartition] = []
    private var positions: [TopicPartition: Position] = [:]
    private var versionCount = 0
    /// Partitions in each request that is under way, by its number.
    private var flights: [Int: Flight] = [:]
    private var flightCount = 0
    private let landings: AsyncStream<Landing>
    private let landing: AsyncStream<Landing>.Continuation
    /// Which topic of a name is read.
    private var identities: [String: WireUUID] = [:]
    /// Told by the next ``next()``.
    private var untold: [LogReaderEvent] = []
    /// Thrown by it.
    private var untoldError: ClientError?

    private struct Position {
        var offset: Offset
        /// Another one whenever somebody says from where to read, also where reading was stopped in
        /// between: answers to older requests mean nothing.
        var version: Int
        /// Not to be read until somebody says from where.
        var isParked = false
        /// What has gone wrong since it was last read; nil where nothing has.
        var trouble: Trouble?
    }

    private struct Trouble {
        let since = ContinuousClock.now
        var failureCount: Int64 = 0
        /// When it is tried again.
        var restsUntil = ContinuousClock.now
    }

    private struct Flight {
        var broker: Int32
        var task: Task<Void, Never>
        var versions: [TopicPartition: Int]
        var offsets: [TopicPartition: Offset]
    }

    private struct Landing: Sendable {
        var flight: Int
        var answer: Result<FetchAnswer, any Error>
    }

    /// A reader of nothing yet.
    package init(
        _ cluster: ClusterClient, configuration: LogReaderConfiguration = LogReaderConfiguration()
    ) {
        self.cluster = cluster
        self.configuration = configuration
        (landings, landing) = AsyncStream.makeStream()
    }

    deinit {
        for flight in flights.values { flight.task.cancel() }
    }

    // MARK: What is read

    /// Reads a partition from an offset on, from now on; one that is read already goes on there.
    package func read(_ partition: TopicPartition, from offset: Offset) {
        versionCount += 1
        if positions[partition] == nil { order.append(partition) }
        positions[partition] = Position(offset: offset, version: versionCount)
    }

    /// Does not read a partition any more.
    package func stop(_ partition: TopicPartition) {
        positions[partition] = nil
        order.removeAll { $0 == partition }
    }

    /// Where reading goes on, by partition.
    package var offsets: [TopicPartition: Offset] { positions.mapValues(\.offset) }

    // MARK: Reading

    /// What the next answer of a broker tells; waits for one. Where partitions are not read any
    /// more, or nothing came in ``LogReaderConfiguration/waitMilliseconds``, that may be little.
    ///
    /// Moves, failures of connections and changes of leaders are dealt with in here, partition by
    /// partition, until one could not be read for ``ClientConfiguration/totalMilliseconds``. The
    /// reader can be asked again after an error. A task that is cancelled ends the reader.
    ///
    /// Throws ``ClientError``, and `CancellationError`.
    package func next() async throws -> [LogReaderEvent] {
        while true {
            try Task.checkCancellation()
            if let error = untoldError {
                untoldError = nil
                throw error
            }
            try await takeOff()
            if !untold.isEmpty {
                defer { untold = [] }
                return untold
            }
            guard !flights.isEmpty else {
                let rests = positions.values.filter { !$0.isParked }
                guard let until = rests.compactMap(\.trouble?.restsUntil).min() else { return [] }
                try await Task.sleep(until: until)
                continue
            }
            guard let landing = await nextLanding() else { throw CancellationError() }
            if landing.flight == Self.nudgeNumber { return [] }
            guard let flight = flights.removeValue(forKey: landing.flight) else { continue }
            do {
                let events = try await take(try landing.answer.get(), of: flight)
                if !events.isEmpty { return events }
            } catch let error as ClientError {
                try await note(error, of: flight.versions.keys)
            }
        }
    }

    /// The number of no request.
    private static let nudgeNumber = 0

    /// Has ``next()`` return soon, with nothing, so that whoever waits there looks at what else has
    /// happened. Any thread.
    package nonisolated func nudge() {
        landing.yield(Landing(flight: Self.nudgeNumber, answer: .failure(CancellationError())))
    }

    private func nextLanding() async -> Landing? {
        for await landing in landings { return landing }
        return nil
    }

    /// Lets partitions rest before they are tried again. Throws what is no use in trying again, and
    /// where one has been tried for long enough.
    private func note(
        _ error: ClientError, of partitions: some Sequence<TopicPartition>
    ) async throws {
        guard error.isRetriable else { throw error }
        await cluster.doubt()
        let settings = cluster.configuration
        for partition in partitions {
            guard var trouble = positions[partition].map({ $0.trouble ?? Trouble() }) else {
                continue
            }
            let elapsed = (ContinuousClock.now - trouble.since) / .milliseconds(1)
            guard Int64(elapsed) < settings.totalMilliseconds else {
                // Whoever asks again has as much time again.
                positions[partition]?.trouble = nil
                throw ClientError.gaveUp(
                    afterMilliseconds: settings.totalMilliseconds, last: error)
            }
            let pause = settings.backoffMilliseconds << min(trouble.failureCount, 16)
            trouble.failureCount += 1
            trouble.restsUntil =
                .now + .milliseconds(min(pause, settings.backoffMillisecondsMax))
            positions[partition]?.trouble = trouble
        }
    }

    /// Sends a request to each broker that leads something and has none under way.
    private func takeOff() async throws {
        let flying = Set(flights.values.flatMap(\.versions.keys))
        let now = ContinuousClock.now
        let ready = order.filter { partition in
            guard !flying.contains(partition), let position = positions[partition] else {
                return false
            }
            return !position.isParked && position.trouble?.restsUntil ?? now <= now
        }
        guard !ready.isEmpty else { return }
        do {
            try await cluster.look(at: Set(ready.map(\.topic)))
        } catch let error as ClientError {
            return try await note(error, of: ready)
        }
        let view = await cluster.currentView
        let busy = Set(flights.values.map(\.broker))
        var leaders: [Int32: [TopicPartition]] = [:]
        for partition in ready where isSameTopic(partition, view) {
            if let leader = view.leader(of: partition) {
                leaders[leader.id, default: []].append(partition)
            } else {
                try await note(.noLeader(partition), of: [partition])
            }
        }
        for (broker, partitions) in leaders where !busy.contains(broker) {
            takeOff(to: broker, partitions, view)
        }
    }

    /// Whether the topic is the one that was read from the beginning; tells where it is not.
    private func isSameTopic(_ partition: TopicPartition, _ view: ClusterView) -> Bool {
        guard let id = view.topics[partition.topic]?.id, id != .zero else { return true }
        let known = identities[partition.topic] ?? id
        identities[partition.topic] = known
        guard known != id else { return true }
        positions[partition]?.isParked = true
        untold.append(.replaced(partition))
        return false
    }

    private func takeOff(to broker: Int32, _ partitions: [TopicPartition], _ view: ClusterView) {
        // Stopped, or sought, while the cluster was looked at.
        let wanted = partitions.compactMap { id in
            positions[id].flatMap { $0.isParked ? nil : (id, $0) }
        }
        guard !wanted.isEmpty else { return }
        flightCount += 1
        let number = flightCount
        let plan = FetchPlan(
            positions: wanted.map { ($0.0, $0.1.offset) }, view: view,
            configuration: configuration)
        let task = Task { [cluster, landing] in
            do {
                let connection = try await cluster.connect(.broker(broker))
                let answer = try await plan.run(on: connection)
                landing.yield(Landing(flight: number, answer: .success(answer)))
            } catch {
                landing.yield(Landing(flight: number, answer: .failure(error)))
            }
        }
        flights[number] = Flight(
            broker: broker, task: task,
            versions: Dictionary(uniqueKeysWithValues: wanted.map { ($0.0, $0.1.version) }),
            offsets: Dictionary(uniqueKeysWithValues: wanted.map { ($0.0, $0.1.offset) }))
    }

    /// Takes over what came.
    private func take(
        _ answer: FetchAnswer, of flight: Flight
    ) async throws -> [LogReaderEvent] {
        var events: [LogReaderEvent] = []
        var failures: [(partition: TopicPartition, error: ClientError)] = []
        for (partition, result) in answer.partitions {
            guard let version = flight.versions[partition],
                positions[partition]?.version == version
            else { continue }
            switch result {
            case .success(let fetched):
                positions[partition]?.offset = fetched.nextOffset
                positions[partition]?.trouble = nil
                if !fetched.batches.isEmpty {
                    order.removeAll { $0 == partition }
                    order.append(partition)
                }
                events.append(.fetched(fetched))
            case .failure(let error) where error.code == .offsetOutOfRange:
                positions[partition]?.isParked = true
                events.append(
                    .outOfRange(partition, requested: flight.offsets[partition] ?? .zero))
            case .failure(let error): failures.append((partition, error))
            }
        }
        do {
            for (partition, error) in failures { try await note(error, of: [partition]) }
        } catch let error as ClientError where !events.isEmpty {
            // Later: what the others brought, whose positions have moved, must not get lost.
            untoldError = error
        }
        return events
    }

    /// Ends the requests that are under way.
    package func close() {
        for flight in flights.values { flight.task.cancel() }
        flights = [:]
        landing.finish()
    }
}
