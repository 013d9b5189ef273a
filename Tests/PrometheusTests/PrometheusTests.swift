import CoreMetrics
import TallyPrometheus
import Testing

@Suite("Metrics as Prometheus reads them")
struct PrometheusTests {
    @Test("counters, gauges and histograms, each under its name and labels")
    func text() {
        let registry = PrometheusRegistry()
        let counter = registry.makeCounter(label: "a_total", dimensions: [("to", "x")])
        counter.increment(by: 2)
        // The same one, found again.
        registry.makeCounter(label: "a_total", dimensions: [("to", "x")]).increment(by: 3)
        registry.makeCounter(label: "a_total", dimensions: [("to", "y")]).increment(by: .max)
        registry.makeCounter(label: "a_total", dimensions: [("to", "y")]).increment(by: 1)
        registry.makeRecorder(label: "b", dimensions: [], aggregate: false).record(1.5)
        let timer = registry.makeTimer(label: "c_seconds", dimensions: [])
        for nanoseconds: Int64 in [100_000, 2_000_000, 60_000_000_000] {
            timer.recordNanoseconds(nanoseconds)
        }
        let lines = registry.text().split(separator: "\n")
        #expect(
            lines.prefix(5) == [
                "# TYPE a_total counter", "a_total{to=\"x\"} 5",
                "a_total{to=\"y\"} 9223372036854775807", "# TYPE b gauge", "b 1.5",
            ])
        // Each bucket counts what is below it, too.
        #expect(lines.contains("c_seconds_bucket{le=\"0.0001\"} 1"))
        #expect(lines.contains("c_seconds_bucket{le=\"0.001\"} 1"))
        #expect(lines.contains("c_seconds_bucket{le=\"0.0025\"} 2"))
        #expect(lines.contains("c_seconds_bucket{le=\"30\"} 2"))
        #expect(lines.contains("c_seconds_bucket{le=\"+Inf\"} 3"))
        #expect(lines.contains("c_seconds_count 3"))
    }

    @Test("names and values that the format does not allow are written so that it does")
    func escapes() {
        let registry = PrometheusRegistry()
        registry.makeMeter(label: "1 bad-näme", dimensions: [("k.1", "a\"b\\c\nd")]).set(1.0)
        let lines = registry.text().split(separator: "\n")
        #expect(lines.last == "_1_bad_n_me{k_1=\"a\\\"b\\\\c\\nd\"} 1")
    }
}
