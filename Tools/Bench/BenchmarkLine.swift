/// One line of the benchmark's table: what was done, how fast, and what the machine allows.
package struct BenchmarkLine: Sendable {
    /// What was measured: "append", "scan", ...
    package var name: String
    /// Bytes of a record's value; nil where records vary.
    package var valueBytes: Int?
    /// The codec's name; nil where there is none to speak of.
    package var codec: String?
    /// Things a second.
    package var perSecond: Double
    /// What the things are: "records", "lookups", "appends".
    package var unit: String
    /// Bytes a second, where that says something.
    package var bytesPerSecond: Double?
    /// What the limit is, in words.
    package var limitName: String?
    /// The limit in the same unit as the figure.
    package var limitPerSecond: Double?
    /// The ratio or rate that is aimed at, in words.
    package var target: String?

    /// Whether the figure is how long something takes, in ``unit``, and not how often.
    package var isDuration = false
    /// More about the figure, in words.
    package var note: String?

    /// The figure as a part of the limit.
    package var ratio: Double? { limitPerSecond.map { perSecond / $0 } }
}

/// How long something takes.
func seconds(_ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    return (ContinuousClock.now - start) / .seconds(1)
}

/// The median of several runs of a rate, each after the other's limit so that both see the same
/// machine: returns the figure and the limit of the run whose ratio is the median.
func paired(
    runs: Int, figure: () throws -> Double, limit: () throws -> Double
) rethrows -> (figure: Double, limit: Double) {
    var pairs: [(figure: Double, limit: Double)] = []
    for _ in 0..<runs {
        let limit = try limit()
        pairs.append((try figure(), limit))
    }
    pairs.sort { $0.figure / $0.limit < $1.figure / $1.limit }
    return pairs[pairs.count / 2]
}
