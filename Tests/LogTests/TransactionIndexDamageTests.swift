import TallyFiles
import TallyRecords
import TallyTestSupport
import Testing

@testable import TallyLog

@Suite("Damaged transaction indexes", .verifiesLogs)
struct TransactionIndexDamageTests {
    enum Damage: CaseIterable, Sendable {
        case empty, torn, zeroFilled, zeroTail, garbage, fullOfOnes, laterSegments, earlierSegments
        case whereNoneBelongs
    }

    @Test(
        "what was aborted is known all the same, and the file is mended",
        arguments: Damage.allCases, [true, false])
    func aborted(_ damage: Damage, isClean: Bool) throws {
        let template = try TransactionalLog()
        let names = template.contents.keys.filter { $0.hasSuffix(".txnindex") }.sorted()
        try #require(names.count == 2)
        for (index, name) in names.enumerated() {
            var log = template
            var bytes = try #require(log.contents[name])
            let other = try #require(log.contents[names[1 - index]])
            switch damage {
            case .empty: bytes = []
            case .torn: bytes.removeLast(7)
            case .zeroFilled: bytes = Array(repeating: 0, count: bytes.count)
            case .zeroTail: bytes += Array(repeating: 0, count: 34 * 3)
            case .garbage: bytes = bytes.indices.map { UInt8(truncatingIfNeeded: $0 &* 91 &+ 7) }
            case .fullOfOnes: bytes = Array(repeating: 0xFF, count: bytes.count)
            case .laterSegments where index == 0, .earlierSegments where index == 1: bytes = other
            case .laterSegments, .earlierSegments: continue
            case .whereNoneBelongs:
                let base = try #require(
                    SegmentName.baseOffsets(among: Array(log.contents.keys)).first {
                        log.contents[SegmentName.file($0, .transactionIndex)] == nil
                    })
                log.contents[SegmentName.file(base, .transactionIndex)] = bytes
            }
            log.contents[name] = bytes
            try check(log, isClean: isClean, "\(damage) \(name)")
        }
    }

    private func check(_ log: TransactionalLog, isClean: Bool, _ story: String) throws {
        let harness = try log.install()
        for round in 0..<2 {
            let opened = try harness.open(
                isClean: isClean && round == 0, recoveryPoint: log.end)
            let all = try opened.abortedTransactions(in: .zero..<log.end)
            #expect(all == log.aborted, "\(story)")
            for transaction in log.aborted {
                let range = transaction.firstOffset..<transaction.firstOffset.advanced(by: 1)
                let found = try opened.abortedTransactions(in: range)
                #expect(found.contains(transaction), "\(story)")
            }
        }
        let report = try LogVerifier(
            of: harness.directory, environment: .readOnly(on: harness.files)
        ).verify()
        let left = report.problems.filter {
            $0.file.hasSuffix(".txnindex") && $0.severity > .note
        }
        #expect(left.isEmpty, "\(story) \(left)")
    }
}
