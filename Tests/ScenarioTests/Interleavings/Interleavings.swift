import Foundation
import TallyTestSupport

/// Runs a history again and again, each with a seed of its own, which the history's failures name:
/// with it as TALLY_SEED the first of them is the one that failed.
///
/// `TALLY_INTERLEAVINGS=1000` runs so many instead of the few that a test has time for.
func forEachInterleaving(
    _ count: Int, _ test: String = #function, _ body: (_ seed: UInt64) async throws -> Void
) async rethrows {
    let given = ProcessInfo.processInfo.environment["TALLY_INTERLEAVINGS"].flatMap { Int($0) }
    let first = SeededGenerator.fromEnvironment(test).seed
    for number in 0..<UInt64(given ?? count) { try await body(first &+ number) }
}
