import CoreMetrics
import Synchronization

/// Something that is told numbers and writes them.
protocol Instrument: AnyObject, Sendable {
    /// What Prometheus calls it.
    var kind: String { get }
    /// Appends its lines.
    func write(_ series: Series, to text: inout String)
}

/// A number that rises.
final class PrometheusCounter: Instrument, CounterHandler {
    private let value = Atomic<Int64>(0)

    var kind: String { "counter" }

    func increment(by amount: Int64) {
        // Stays at the end of all numbers.
        var current = value.load(ordering: .relaxed)
        while true {
            let (sum, overflow) = current.addingReportingOverflow(amount)
            let (done, original) = value.weakCompareExchange(
                expected: current, desired: overflow ? .max : sum, ordering: .relaxed)
            if done { return }
            current = original
        }
    }

    func reset() { value.store(0, ordering: .relaxed) }

    func write(_ series: Series, to text: inout String) {
        text += series.line("\(value.load(ordering: .relaxed))")
    }
}

/// A number that rises and falls.
final class PrometheusGauge: Instrument, RecorderHandler, MeterHandler {
    private let value = Mutex(0.0)

    var kind: String { "gauge" }

    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }

    func write(_ series: Series, to text: inout String) {
        text += series.line(format(value.withLock { $0 }))
    }
}

/// How many numbers were how large.
final class PrometheusHistogram: Instrument, RecorderHandler, TimerHandler {
    private let bounds: [Double]
    private let state: Mutex<State>

    private struct State {
        /// By bound, and those above all of them last.
        var counts: [Int64]
        var sum = 0.0
    }

    var kind: String { "histogram" }

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        let index = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[index] += 1
            state.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    func write(_ series: Series, to text: inout String) {
        let state = state.withLock { $0 }
        var total: Int64 = 0
        for (bound, count) in zip(bounds, state.counts) {
            total += count
            text += series.line(
                "\(total)", suffix: "_bucket", extra: "le=\"\(format(bound))\"")
        }
        total += state.counts[bounds.count]
        text += series.line("\(total)", suffix: "_bucket", extra: "le=\"+Inf\"")
        text += series.line(format(state.sum), suffix: "_sum")
        text += series.line("\(total)", suffix: "_count")
    }
}

/// Whole numbers without a point.
private func format(_ value: Double) -> String {
    if value == value.rounded(), abs(value) < 1e15 { return "\(Int64(value))" }
    return "\(value)"
}
