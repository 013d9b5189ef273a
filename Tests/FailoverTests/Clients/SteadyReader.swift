import Synchronization
import TallyClient
import TallyRecords

/// Reads all partitions of a topic from the beginning, as consumers do, and holds against the
/// cluster whatever a consumer must never see.
///
/// Thread rule: any task.
final class SteadyReader: Sendable {
    private struct State {
        /// By partition, the number at each offset.
        var numbers: [Int32: [Offset: Int]] = [:]
        var positions: [Int32: Offset] = [:]
        var highWatermarks: [Int32: Offset] = [:]
        var problems: [String] = []
        var task: Task<Void, Never>?
    }

    private let client: ClusterClient
    private let topic: String
    private let state = Mutex(State())

    init(_ client: ClusterClient, topic: String) {
        self.client = client
        self.topic = topic
    }

    func start(partitions: Int32) {
        let task = Task {
            var configuration = LogReaderConfiguration()
            configuration.waitMilliseconds = 200
            let reader = LogReader(self.client, configuration: configuration)
            for partition in 0..<partitions {
                await reader.read(
                    TopicPartition(topic: self.topic, partition: partition), from: .zero)
            }
            while !Task.isCancelled {
                do {
                    for event in try await reader.next() { try self.take(event) }
                } catch is CancellationError {
                    break
                } catch {
                    self.note("\(error)")
                    break
                }
            }
            await reader.close()
        }
        state.withLock { $0.task = task }
    }

    func stop() async {
        let task = state.withLock { $0.task.take() }
        task?.cancel()
        await client.close()
        await task?.value
    }

    private func note(_ problem: String) {
        state.withLock { $0.problems.append(problem) }
    }

    private func take(_ event: LogReaderEvent) throws {
        guard case .fetched(let fetched) = event else { return note("\(event)") }
        let records = try Numbers.read(Array(fetched.batches))
        let partition = fetched.partition.partition
        state.withLock { state in
            let before = state.highWatermarks[partition] ?? .zero
            if fetched.highWatermark < before {
                state.problems.append(
                    "\(partition): the high watermark went from \(before) back to "
                        + "\(fetched.highWatermark)")
            }
            state.highWatermarks[partition] = max(before, fetched.highWatermark)
            for (offset, number) in records {
                if offset >= fetched.highWatermark {
                    state.problems.append(
                        "\(partition): offset \(offset) at a high watermark of "
                            + "\(fetched.highWatermark)")
                }
                let known = state.numbers[partition]?[offset]
                if let known, known != number {
                    state.problems.append(
                        "\(partition): at offset \(offset) was \(known), and is \(number)")
                }
                state.numbers[partition, default: [:]][offset] = number
            }
            state.positions[partition] = fetched.nextOffset
        }
    }

    /// What was read, by partition.
    var numbers: [Int32: [Offset: Int]] { state.withLock { $0.numbers } }
    var problems: [String] { state.withLock { $0.problems } }

    /// Waits until everything before these ends is read; false where it is not in time.
    func reaches(_ ends: [Int32: Offset], seconds: Int = 20) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            let positions = state.withLock { $0.positions }
            if ends.allSatisfy({ $1 == .zero || positions[$0] ?? .zero >= $1 }) { return true }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return false
    }
}
