import TallyFiles

/// The calls of the file-system seam, for counting them and for making them fail.
package enum OperationKind: String, Hashable, Sendable, CaseIterable {
    case open, list, information, rename, remove, createDirectory, removeDirectory
    case syncDirectory, lock
    case read, write, sync, truncate, reserve, map, populate
}

/// One call, as it is kept for messages of failed tests.
package struct Operation: Sendable, CustomStringConvertible {
    package var kind: OperationKind
    package var path: String
    /// The positions or lengths it was about; nil where it was about the whole.
    package var range: Range<Int>?
    /// The new name of a rename.
    package var destination: String?
    /// What a planned fault did to it.
    package var fault: FaultEffect?

    package var description: String {
        var text = "\(kind.rawValue) \(path)"
        if let range { text += " [\(range.lowerBound)..<\(range.upperBound)]" }
        if let destination { text += " -> \(destination)" }
        if let fault { text += " !\(fault)" }
        return text
    }
}

/// What a planned fault does to the call that it hits.
package enum FaultEffect: Hashable, Sendable {
    /// The call throws this `errno`. A failed sync drops what it was to store, as Linux does:
    /// later syncs succeed and the bytes may be missing from the disk all the same.
    case error(Int32)
    /// A write stores this many bytes at most, and then throws. Other calls just throw.
    case partial(byteCount: Int, code: Int32)
    /// A read or write handles this many bytes at most and succeeds. Hits no other calls.
    case short(byteCount: Int)

    /// The error the call throws, if it does.
    var code: Int32? {
        switch self {
        case .error(let code), .partial(_, let code): code
        case .short: nil
        }
    }

    /// How many bytes are handled before that.
    var byteCountMax: Int? {
        switch self {
        case .error: nil
        case .partial(let byteCount, _), .short(let byteCount): byteCount
        }
    }
}

/// A fault to come: which calls it counts, how many of them pass, what happens to the next.
package struct Fault: Sendable {
    /// The kinds of call it counts; nil counts all.
    package var kind: OperationKind?
    /// Counts only calls on paths that end so.
    package var pathSuffix: String
    /// How many such calls pass before it hits.
    package var callsBefore: Int
    /// Whether all such calls after that are hit too, or only one.
    package var repeats: Bool
    package var effect: FaultEffect

    package init(
        _ effect: FaultEffect, on kind: OperationKind? = nil, pathSuffix: String = "",
        after callsBefore: Int = 0, repeats: Bool = false
    ) {
        self.kind = kind
        self.pathSuffix = pathSuffix
        self.callsBefore = callsBefore
        self.repeats = repeats
        self.effect = effect
    }

    func counts(_ operation: Operation) -> Bool {
        if let kind, kind != operation.kind { return false }
        if case .short = effect, operation.kind != .read && operation.kind != .write {
            return false
        }
        return operation.path.hasSuffix(pathSuffix)
    }
}
