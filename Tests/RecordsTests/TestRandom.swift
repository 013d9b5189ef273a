import Foundation

/// A random generator that a seed repeats (SplitMix64). Each test that uses one prints its seed;
/// `TALLY_SEED` sets it.
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    /// A generator with the seed of the environment, or a new one, which is printed.
    init(for purpose: String) {
        let given = ProcessInfo.processInfo.environment["TALLY_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: .min ... .max)
        print("\(purpose): TALLY_SEED=\(seed)")
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }

    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &self) == 0 }
}
