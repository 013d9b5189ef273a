import Foundation
import TallyTestSupport
import Testing

/// `TallyDeliveryChild`, a process that works through a topic, to be started and killed.
struct DeliveryProcess {
    private let arguments: [String]

    /// - Parameters:
    ///   - work: what it does, in its own words.
    ///   - path: where its files are.
    ///   - count: how many records there are.
    init(work: String, _ path: String, _ count: Int) {
        arguments = [path, work, "\(count)"]
    }

    private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("TallyDeliveryChild")

    /// Starts it again and again, and kills it so many times, each time at random within so many
    /// microseconds after it has opened its files; then lets it come to its end. How often it was
    /// killed before it had come there.
    func killUpTo(
        _ times: Int, withinMicroseconds limit: Int, using generator: inout SeededGenerator
    ) async throws -> Int {
        var kills = 0
        while kills < times {
            let wait = Int.random(in: 0..<limit, using: &generator)
            if try run(killAfter: wait) { break }
            kills += 1
        }
        #expect(try run(killAfter: nil))
        return kills
    }

    /// Runs it; whether it came to its end.
    private func run(killAfter microseconds: Int?) throws -> Bool {
        let process = Process()
        let output = Pipe()
        process.executableURL = Self.program
        process.arguments = arguments
        process.standardOutput = output
        try process.run()
        let reader = output.fileHandleForReading
        if let microseconds {
            _ = reader.availableData
            usleep(UInt32(microseconds))
            kill(process.processIdentifier, SIGKILL)
        }
        let told = String(decoding: reader.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if microseconds == nil { #expect(process.terminationStatus == 0) }
        return told.contains("done")
    }
}
