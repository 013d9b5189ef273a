/// Quantiles of latencies.
struct Quantiles: CustomStringConvertible {
    private let sorted: [Duration]

    init(_ latencies: [Duration]) { sorted = latencies.sorted() }

    /// Those of all latencies of several measurements.
    init(merging parts: [Quantiles]) { self.init(parts.flatMap(\.sorted)) }

    /// In milliseconds; 0 where nothing was measured.
    func milliseconds(_ part: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let index = min(Int(Double(sorted.count) * part), sorted.count - 1)
        return sorted[index] / .milliseconds(1)
    }

    var description: String {
        [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { name, part in
            let microseconds = Int(milliseconds(part) * 1000)
            if microseconds < 1000 { return "\(name) \(microseconds) µs" }
            return "\(name) \(microseconds / 1000).\(microseconds / 100 % 10) ms"
        }.joined(separator: ", ")
    }
}
