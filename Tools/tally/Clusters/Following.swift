import Tally
import TallyClient
import TallyWire

/// Topics that are kept as they are in a cluster, until it is cancelled. Used by one task.
struct Following {
    private let copy: TopicCopy
    private let topics: [String]
    /// How often it looks for new topics and partitions.
    private let interval: Duration
    private var copies: PartitionCopies
    /// How many partitions of each topic are followed.
    private var partitionCounts: [String: Int] = [:]
    private var lastLook: ContinuousClock.Instant?
    /// What was said last of what does not work; nil while all works.
    private var trouble: String?
    private var isCaughtUp = false

    init(_ copy: TopicCopy, topics: [String], _ interval: Duration) {
        self.copy = copy
        self.topics = topics
        self.interval = interval
        copies = PartitionCopies(copy, behind: .beginAnew)
    }

    /// Follows until the task is cancelled, or something is wrong that no waiting mends.
    mutating func run() async -> Result<Void, any Error> {
        do {
            while true { try await step() }
        } catch {
            await copies.close()
            return .failure(error)
        }
    }

    private mutating func step() async throws {
        try Task.checkCancellation()
        do {
            let isDue = lastLook.map { ContinuousClock.now - $0 > interval } ?? true
            if isDue { try await look() }
            if copies.logEnds.isEmpty {
                try await Task.sleep(for: min(interval, .seconds(1)))
            } else {
                try await copies.step(isStored: true)
            }
            if trouble != nil {
                Console.note("\(copy.source) answers again.")
                trouble = nil
            }
        } catch let error as ClientError where error.isPassing {
            if trouble == nil { Console.note("\(error) Trying again.") }
            trouble = "\(error)"
            isCaughtUp = false
            try await Task.sleep(for: .seconds(1))
        }
        if copies.isCaughtUp, !isCaughtUp {
            Console.out("Caught up with \(copy.source).")
            isCaughtUp = true
        }
    }

    /// Begins to follow what is new.
    private mutating func look() async throws {
        for name in topics {
            let found: [String: ClusterView.Topic]
            do {
                found = try await copy.cluster.describeTopics([name])
            } catch let error as ClientError where error.code == .unknownTopicOrPartition {
                if partitionCounts[name] == nil {
                    Console.note("Topic \(name) is not there yet; it is waited for.")
                    partitionCounts[name] = 0
                }
                continue
            }
            guard let topic = found[name] else { continue }
            let known = partitionCounts[name] ?? 0
            guard topic.partitionCount > known else { continue }
            try await copy.prepare(name, topic)
            let new = topic.partitions.keys.sorted().filter { $0 >= known }
                .map { TopicPartition(topic: name, partition: $0) }
            let starts = try await copy.cluster.offsets(of: Set(new), at: .logStart)
            let ends = try await copy.cluster.offsets(of: Set(new), at: .end)
            for id in new {
                let start = starts[id] ?? .zero
                try await copies.add(id, start...max(start, ends[id] ?? .zero))
            }
            partitionCounts[name] = topic.partitionCount
            isCaughtUp = false
            Console.out(
                "Following topic \(name) of \(copy.source): "
                    + "\(Format.count(topic.partitionCount, "partition")).")
        }
        lastLook = .now
    }
}

extension ClientError {
    /// Whether it may pass by itself.
    fileprivate var isPassing: Bool {
        if case .gaveUp = self { return true }
        return isRetriable
    }
}
