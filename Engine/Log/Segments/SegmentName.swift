package import TallyRecords

/// The names of the files of one segment: its base offset in 20 digits and an ending.
package enum SegmentName {
    /// The endings that Tally reads and writes.
    package enum Ending: String, CaseIterable, Sendable {
        case log = ".log"
        case offsetIndex = ".index"
        case timeIndex = ".timeindex"
        case transactionIndex = ".txnindex"
        case producerSnapshot = ".snapshot"
    }

    /// The file name of a segment's file: `00000000000000003300.log`.
    package static func file(_ baseOffset: Offset, _ ending: Ending) -> String {
        let digits = String(max(baseOffset.rawValue, 0))
        return String(repeating: "0", count: 20 - digits.count) + digits + ending.rawValue
    }

    /// What a cleaner adds to the names of files that are not complete yet.
    static let cleanedSuffix = ".cleaned"
    /// What a cleaner adds to the names of files that are complete and wait for their place.
    static let swapSuffix = ".swap"

    /// The side file that keeps the bytes cut from a segment at `position`.
    package static func cut(_ baseOffset: Offset, at position: FilePosition) -> String {
        file(baseOffset, .log) + ".cut-\(position)"
    }

    /// The base offset in a file name with this ending; nil for any other name.
    package static func baseOffset(of name: String, _ ending: Ending) -> Offset? {
        guard name.hasSuffix(ending.rawValue) else { return nil }
        let digits = name.utf8.dropLast(ending.rawValue.utf8.count)
        guard digits.count == 20, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
            return nil
        }
        return Int64(String(Substring(digits))).map { Offset($0) }
    }

    /// The base offsets of all `.log` files among names, rising.
    package static func baseOffsets(among names: [String]) -> [Offset] {
        names.compactMap { baseOffset(of: $0, .log) }.sorted()
    }
}

/// Joins a directory and a name.
package func joinPath(_ directory: String, _ name: String) -> String {
    directory.hasSuffix("/") ? directory + name : directory + "/" + name
}

/// The last name in a path.
package func lastPathComponent(_ path: String) -> String {
    path.split(separator: "/").last.map { String($0) } ?? path
}

extension String {
    /// The text as one word of a shell's command line.
    package var shellQuoted: String {
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+,:@%")
        if !isEmpty, allSatisfy(plain.contains) { return self }
        let parts = split(separator: "'", omittingEmptySubsequences: false)
        return "'" + parts.joined(separator: #"'\''"#) + "'"
    }
}
