import ArgumentParser
import Foundation
import Synchronization
import TallyLog
import TallyRecords

/// Where reading begins.
enum ConsumeStart: Hashable, Sendable, ExpressibleByArgument, CustomStringConvertible {
    case earliest
    case latest
    case offset(Offset)
    case time(Timestamp)

    /// Reads `earliest`, `latest`, digits (an offset), `@` and digits (milliseconds since 1970),
    /// or ISO-8601.
    init?(argument: String) {
        switch argument {
        case "earliest": self = .earliest
        case "latest": self = .latest
        default:
            if argument.first == "@", let milliseconds = Int64(argument.dropFirst()),
                milliseconds >= 0
            {
                self = .time(Timestamp(milliseconds: milliseconds))
            } else if let offset = Int64(argument), offset >= 0 {
                self = .offset(Offset(offset))
            } else if let time = OutputTime.parse(argument) {
                self = .time(time)
            } else {
                return nil
            }
        }
    }

    var description: String {
        switch self {
        case .earliest: "earliest"
        case .latest: "latest"
        case .offset(let offset): offset.description
        case .time(let time): OutputTime.text(time)
        }
    }
}

/// How keys and values are shown.
enum ConsumeEncoding: String, CaseIterable, Sendable, ExpressibleByArgument {
    case utf8
    case base64
}

/// Whether the person pressed Ctrl-C, or somebody asked the process to end.
enum ConsumeInterrupt {
    private static let flag = Atomic<Bool>(false)

    /// From now on SIGINT and SIGTERM do not end the process but set the flag.
    static func install() -> ConsumeInterrupt.Type {
        // Touched before a handler may run, so that none has to make it.
        flag.store(false, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in ConsumeInterrupt.flag.store(true, ordering: .relaxed) }
        }
        return self
    }

    static var isSet: Bool { flag.load(ordering: .relaxed) }
}
