import Tally

/// What there is to know of a partition and of how far a group is with it.
struct PartitionModel {
    /// What was sent, from offset 0 on.
    var values: [String] = []
    /// Whether each record is older than what a reset by duration asks for.
    var isOld: [Bool] = []
    /// The first offset that is left.
    var start = 0
    /// What the group has committed.
    var committed: Int?
    /// Who reads it, how far that member has read, and how far it says that it is.
    var owner: Int?
    var position: Int?
    var handled: Int?
    /// How often it was given to somebody.
    var turn = 0

    var end: Int { isOld.count }

    /// What its group is behind, as anybody may ask.
    var lag: Int64? { committed.map { Int64(max(end - $0, 0)) } }

    /// Where reading begins that was to go on at an offset; nil where nobody but the application
    /// can say.
    func begin(at wanted: Int?, _ reset: OffsetReset) -> Int? {
        if let wanted, (start...end).contains(wanted) { return wanted }
        return switch reset {
        case .none: nil
        case .earliest: start
        case .latest: end
        case .nearest: (wanted ?? 0) > end ? end : start
        case .duration: (start..<end).first { !isOld[$0] } ?? end
        }
    }

    /// Another member has it, or nobody.
    mutating func release() { (owner, position, handled) = (nil, nil, nil) }
}
