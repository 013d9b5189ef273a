import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

extension PartitionLog {
    /// Appends a batch with one large record for each number, so that a few fill a segment.
    func fill(_ numbers: Range<Int>, keyCount: Int, at timestamp: Int64 = 0) throws {
        for number in numbers {
            try put(
                "key \(number % keyCount)", String(repeating: "v", count: 200) + "\(number)",
                at: timestamp)
        }
    }

    /// What ``fill(_:keyCount:at:)`` leaves of each key.
    static func filled(_ numbers: Range<Int>, keyCount: Int) -> [[UInt8]: [UInt8]] {
        var map: [[UInt8]: [UInt8]] = [:]
        for number in numbers {
            map[Array("key \(number % keyCount)".utf8)] =
                Array((String(repeating: "v", count: 200) + "\(number)").utf8)
        }
        return map
    }
}

extension KeyedLog {
    /// Why a log cannot be cleaned; nil, and an issue, where it can.
    func reasonNotCleanable(_ log: PartitionLog) throws -> String? {
        try log.roll()
        try log.flush()
        do throws(LogError) {
            try clean(log, now: 0)
            Issue.record("it was cleaned")
        } catch {
            if case .notCleanable(_, let reason) = error { return reason }
            Issue.record("\(error)")
        }
        return nil
    }

    /// The same log on what a crash left.
    func on(_ files: any FileSystem) -> KeyedLog {
        var other = self
        other.files = files
        return other
    }

    /// Opens what a crash left, and expects of it all that was there before and nothing else.
    func expectWhole(
        _ map: [[UInt8]: [UInt8]], _ story: @autoclosure () -> String,
        after recoveryPoint: Offset = .zero
    ) throws {
        let log: PartitionLog
        do {
            log = try open(recoveryPoint: recoveryPoint)
        } catch {
            Issue.record("\(error) \(story())")
            return
        }
        let isRight = try log.readMap() == map
        #expect(isRight, "\(story())")
        let left = try leftOvers()
        #expect(left == [], "\(story())")
        // It can be cleaned again, and is what it was.
        try clean(log, now: 0)
        log.removeRetiredFiles(now: nil)
        let isRightStill = try log.readMap() == map
        #expect(isRightStill, "cleaned again: \(story())")
        #expect(try leftOvers() == [], "cleaned again: \(story())")
        _ = try log.close()
        let damage = LogVerification.damage(in: directory, on: files)
        #expect(damage.isEmpty, "\(damage) \(story())")
    }
}
