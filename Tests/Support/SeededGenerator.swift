import Foundation

/// Random numbers that can be had again: the same seed gives the same numbers (SplitMix64).
///
/// Tests use `SeededGenerator.fromEnvironment()`, which takes its seed from TALLY_SEED where that
/// is set and prints it, so that a failure can be repeated.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    /// What it was started with.
    package let seed: UInt64
    private var state: UInt64

    package init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// A generator seeded by TALLY_SEED, or at random; the seed is printed.
    package static func fromEnvironment(_ test: String = #function) -> SeededGenerator {
        let given = ProcessInfo.processInfo.environment["TALLY_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("\(test): TALLY_SEED=\(seed)")
        return SeededGenerator(seed: seed)
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// So many random bytes.
    package mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            for position in stride(from: 0, to: count - count % 8, by: 8) {
                bytes.storeBytes(of: next(), toByteOffset: position, as: UInt64.self)
            }
            for position in (count - count % 8)..<count {
                bytes[position] = UInt8(truncatingIfNeeded: next())
            }
            initializedCount = count
        }
    }
}
