import Foundation
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// What goes wrong with leader epochs on a disk: followers settle by them whose records stay.
@Suite("Known traps of leader epochs") struct EpochTrapTests {
    private func harness() -> LogHarness {
        LogHarness(files: SimulatedFileSystem(directories: ["/data", LogHarness.directory]))
    }

    @Test(
        "an epoch file torn by a crash: it says what it said before, or what it was to say",
        arguments: [OperationKind.write, .sync, .rename, .syncDirectory])
    func torn(_ kind: OperationKind) throws {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<20 {
            var harness = harness()
            var epochs: [LeaderEpoch] = []
            for round in 0..<4 {
                let files = try #require(harness.files as? SimulatedFileSystem)
                let log = try harness.open(recoveryPoint: Offset(Int64(epochs.count)))
                #expect(log.leaderEpoch > epochs.last ?? .none)
                if round % 2 == 0 {
                    epochs.append(try log.append(values: [[UInt8(round)]]).leaderEpoch)
                    try log.flush()
                } else {
                    // The next operation of this kind is that on the epoch file.
                    files.failNext(kind, code: EIO)
                    #expect(throws: LogError.self) { try log.append(values: [[9]]) }
                }
                harness.files = files.crash(choose: &generator)
                let found = try LeaderEpochs.read(from: LogHarness.directory, on: harness.files)
                #expect(found.entries.map(\.epoch).starts(with: epochs))
            }
            let log = try harness.open(recoveryPoint: Offset(Int64(epochs.count)))
            for (index, epoch) in epochs.enumerated() {
                #expect(log.endOffset(forEpoch: epoch)?.endOffset == Offset(Int64(index) + 1))
            }
        }
    }

    @Test("an epoch entry without data does not move the end of the epochs before it")
    func withoutData() throws {
        var harness = harness()
        let first = try harness.open()
        let epoch = try first.append(values: [[1], [2]]).leaderEpoch
        try first.flush()
        var files = try #require(harness.files as? SimulatedFileSystem)
        harness.files = files.crash(keeping: .everything)
        files = try #require(harness.files as? SimulatedFileSystem)
        let second = try harness.open(recoveryPoint: Offset(2))
        let newer = second.leaderEpoch
        // The note of the epoch is made, and then there is no room for the batch.
        files.plan(Fault(.error(ENOSPC), on: .write, pathSuffix: ".log"))
        #expect(throws: LogError.self) { try second.append(values: [[3]]) }
        let noted = try LeaderEpochs.read(from: LogHarness.directory, on: files)
        #expect(noted.latest == newer)
        #expect(second.endOffset(forEpoch: epoch)?.endOffset == Offset(2))
        #expect(second.endOffset(forEpoch: newer)?.endOffset == Offset(2))
        // Opened again it is forgotten, and not used again either.
        harness.files = files.crash(keeping: .everything)
        let third = try harness.open(recoveryPoint: Offset(2))
        #expect(third.leaderEpoch > newer)
        #expect(third.endOffset(forEpoch: newer)?.epoch == epoch)
        #expect(third.endOffset(forEpoch: newer)?.endOffset == Offset(2))
    }
}
