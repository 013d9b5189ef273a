import TallyTestSupport
import Testing

/// What an engine does on a simulated file system where calls fail, and what must hold after it.
protocol InterruptedLife {
    mutating func run(on files: SimulatedFileSystem) async throws
    func check(_ files: SimulatedFileSystem) async throws
}

/// Lives one life after the other, each with a fault `stride` calls later than the one before,
/// until one meets none; checks what each leaves behind, killed or without power. Returns how many
/// met their fault.
func interruptLives<Life: InterruptedLife>(
    stride: Int, using generator: inout SeededGenerator, fault: (_ call: Int) -> Fault,
    _ begin: () -> Life
) async -> Int {
    var call = Int.random(in: 0..<stride, using: &generator)
    var hits = 0
    while true {
        let files = SimulatedFileSystem(directories: ["/data"])
        files.plan(fault(call))
        var life = begin()
        try? await life.run(on: files)
        guard files.faultsHit > 0 else { return hits }
        files.clearFaults()
        hits += 1
        do {
            let isKilled = Bool.random(using: &generator)
            try await life.check(
                isKilled ? files.processCrash() : files.crash(choose: &generator))
        } catch {
            Issue.record("call \(call): \(error)\n\(files.recentOperations)")
        }
        call += stride
    }
}
