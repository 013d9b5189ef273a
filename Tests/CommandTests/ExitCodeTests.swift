import Tally
import Testing

@testable import TallyCommand

@Suite struct ExitCodeTests {
    @Test("a codec that the build lacks has an exit code of its own, wherever it is met")
    func codec() {
        let error = RecordError(.codecNotSupported(.zstd), position: 21)
        #expect(ExitCodes.code(for: error) == 69)
        let failure = error.failure(in: "a.log", at: FilePosition(700))
        #expect(failure.exitCode == 69)
        #expect(
            failure.description == "a.log: byte 700: codec not supported: zstd; build with the "
                + "package trait Zstd")
        let damage = RecordError(.malformedCompressedData, position: 61)
        #expect(ExitCodes.code(for: damage) == 1)
        #expect(damage.failure(in: "a.log", at: FilePosition(700)).exitCode == 1)
    }
}
