public import CoreMetrics
import Synchronization

/// Keeps what is told through swift-metrics and writes it as Prometheus reads it.
///
/// Counters stay counters; recorders without aggregation and meters are gauges; recorders with it,
/// and timers, are histograms, the latter in seconds. Memory grows with the number of different
/// labels and dimensions, and with nothing else. Thread rule: any thread.
///
/// Source of the format: Prometheus' text-based exposition format, version 0.0.4.
public final class PrometheusRegistry: MetricsFactory {
    private let state = Mutex<[Series: any Instrument]>([:])

    /// A registry of nothing yet.
    public init() {}

    private func instrument<Kind: Instrument>(
        _ label: String, _ dimensions: [(String, String)], _ make: () -> Kind
    ) -> Kind {
        let series = Series(label, dimensions)
        return state.withLock { instruments in
            if let known = instruments[series] as? Kind { return known }
            let made = make()
            instruments[series] = made
            return made
        }
    }

    /// The metrics that there are, as text.
    public func text() -> String {
        let instruments = state.withLock { $0 }
        var text = ""
        let byName = Dictionary(grouping: instruments, by: \.key.name)
        for (name, all) in byName.sorted(by: { $0.key < $1.key }) {
            guard let kind = all.first?.value.kind else { continue }
            text += "# TYPE \(name) \(kind)\n"
            for (series, instrument) in all.sorted(by: { $0.key.labels < $1.key.labels })
            where instrument.kind == kind {
                instrument.write(series, to: &text)
            }
        }
        return text
    }

    // MARK: MetricsFactory

    /// Makes a counter, or finds the one that there is.
    public func makeCounter(
        label: String, dimensions: [(String, String)]
    ) -> any CounterHandler {
        instrument(label, dimensions, PrometheusCounter.init)
    }

    /// Makes a histogram or a gauge, or finds the one that there is.
    public func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        guard aggregate else { return instrument(label, dimensions, PrometheusGauge.init) }
        return instrument(label, dimensions) { PrometheusHistogram(bounds: Self.sizeBounds) }
    }

    /// Makes a gauge, or finds the one that there is.
    public func makeMeter(
        label: String, dimensions: [(String, String)]
    ) -> any MeterHandler {
        instrument(label, dimensions, PrometheusGauge.init)
    }

    /// Makes a histogram of seconds, or finds the one that there is.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        instrument(label, dimensions) { PrometheusHistogram(bounds: Self.timeBounds) }
    }

    /// What was counted stays: somebody may tell more of it.
    public func destroyCounter(_ handler: any CounterHandler) {}
    /// What was recorded stays.
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    /// What was measured stays.
    public func destroyMeter(_ handler: any MeterHandler) {}
    /// What was timed stays.
    public func destroyTimer(_ handler: any TimerHandler) {}

    /// From a small message to the largest request, four times as much each.
    private static let sizeBounds: [Double] = (4...13).map { Double(1 << (2 * $0)) }
    /// Seconds, from what a look at memory takes to what a client gives up at.
    private static let timeBounds: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
        2.5, 5, 10, 30,
    ]
}

/// A name with its labels.
struct Series: Hashable {
    let name: String
    /// As they are written, without braces.
    let labels: String

    init(_ label: String, _ dimensions: [(String, String)]) {
        name = Self.sanitized(label)
        labels = dimensions.sorted { $0.0 < $1.0 }.map { name, value in
            "\(Self.sanitized(name))=\"\(Self.escaped(value))\""
        }.joined(separator: ",")
    }

    /// Letters, digits and underscores, and no digit first.
    private static func sanitized(_ name: String) -> String {
        let characters = name.unicodeScalars.map { scalar -> Character in
            let isAllowed =
                scalar.isASCII
                && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || scalar == "_")
            return isAllowed ? Character(scalar) : "_"
        }
        let text = String(characters)
        return text.first.map { $0.isNumber ? "_" + text : text } ?? "_"
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(character)
            }
        }
        return text
    }

    /// A line of the text.
    func line(
        _ value: String, suffix: String = "", extra: String = ""
    ) -> String {
        let all = [labels, extra].filter { !$0.isEmpty }.joined(separator: ",")
        return "\(name)\(suffix)\(all.isEmpty ? "" : "{\(all)}") \(value)\n"
    }
}
