import Tally
import TallyStateStore

/// Prints what happened to an item in one topic: a table for people, or JSON Lines.
struct ExplanationPrinter {
    private let explanation: Explanation
    private let key: String
    private let isJSON: Bool

    init(_ explanation: Explanation, key: String, isJSON: Bool) {
        self.explanation = explanation
        self.key = key
        self.isJSON = isJSON
    }

    func print(to streams: CommandStreams) throws {
        let output = streams.output
        guard !isJSON else {
            for event in explanation.events {
                try output.write { event.write(to: &$0, of: explanation) }
            }
            return try output.write { explanation.writeSummary(to: &$0) }
        }
        try output.write(line: "\(OutputText.line(key)) in topic \(explanation.topic.name)")
        var table = OutputTable(
            [
                .number("partition"), .number("offset"), .text("recorded at"), .text("event"),
                .text("outcome"), .text("on hand"), .text("reserved"), .text("available"),
                .text("projected"), .text("seen by"), .text("remarks"),
            ], indentation: "  ")
        for event in explanation.events { try table.add(cells(of: event), to: output) }
        try table.flush(to: output)
        try output.write(line: sum)
        if let line = projectionLine { try output.write(line: line) }
        for group in explanation.groups { try output.write(line: line(of: group)) }
        for partition in explanation.cutPartitions {
            try output.write(
                line: "records before offset \(partition.logStart) of partition "
                    + "\(partition.index) are gone: quantities count from nothing there, on hand "
                    + "until the first STOCK_COUNTED")
        }
        if explanation.partitions.count > 1 {
            try output.write(
                line: "the key lies in \(explanation.partitions.count) partitions: in which order "
                    + "their events were applied is not known, and is shown by partition")
        }
    }

    private func cells(of event: ExplainedEvent) -> [String] {
        let seenBy = explanation.groupsBehind(event)
        return [
            "\(event.partition)", "\(event.offset)", OutputTime.text(event.recordedAt),
            event.eventType ?? "-", event.outcome.name,
            Self.change(event.before.onHand, event.after.onHand),
            Self.change(event.before.reserved, event.after.reserved),
            Self.change(event.before.available, event.after.available),
            explanation.isProjected(event).map { $0 ? "yes" : "not yet" } ?? "-",
            seenBy.isEmpty ? "-" : OutputText.line(seenBy.joined(separator: ", ")),
            OutputText.line(event.remarks),
        ]
    }

    private static func change(_ before: Int64, _ after: Int64) -> String {
        before == after ? before.grouped : "\(before.grouped) -> \(after.grouped)"
    }

    private var sum: String {
        let stock = explanation.stock
        return "\(Format.count(explanation.events.count, "event")): "
            + "\(explanation.appliedCount.grouped) applied, "
            + "\(Format.count(explanation.duplicateCount, "duplicate")), "
            + "\(Format.count(explanation.deadLetterCount, "dead letter")); on hand "
            + "\(stock.onHand.grouped), reserved \(stock.reserved.grouped), available "
            + stock.available.grouped
    }

    private var projectionLine: String? {
        guard let projection = explanation.projection else { return "the topic is not projected" }
        let positions = explanation.partitions.map { index in
            let known = projection.partitions.first { $0.partition == index }
            return "offset \(known?.nextOffset ?? .zero) of partition \(index)"
        }
        let row = explanation.row.map {
            "on hand \($0.onHand.grouped), reserved \($0.reserved.grouped), available "
                + $0.available.grouped
        }
        var text =
            "the projection, up to \(positions.joined(separator: " and ")): \(row ?? "no row")"
        switch explanation.agreesWithProjection {
        case true?: text += ", as its events say"
        case false?:
            text += ", which is NOT what its events say: `tally projection rebuild` makes it anew"
        case nil: break
        }
        return text
    }

    private func line(of group: Explanation.Group) -> String {
        let seen = explanation.events.filter {
            group.committed[$0.partition] ?? .zero > $0.offset
        }.count
        let places = group.committed.sorted { $0.key < $1.key }
            .map { "\($0.value) in partition \($0.key)" }.joined(separator: ", ")
        return "group \(OutputText.line(group.name)), committed \(places): has seen "
            + "\(seen.grouped) of \(Format.count(explanation.events.count, "event"))"
    }
}

extension Explanation {
    fileprivate var appliedCount: Int { count { $0 == .applied } }
    fileprivate var duplicateCount: Int { count { $0 == .duplicate } }
    fileprivate var deadLetterCount: Int { count { $0.reason != nil } }

    fileprivate func writeSummary(to line: inout JSONLine) {
        line.field("row", "summary")
        line.field("topic", topic.name)
        line.field("events", events.count)
        line.field("applied", appliedCount)
        line.field("duplicates", duplicateCount)
        line.field("deadLetters", deadLetterCount)
        line.field("onHand", stock.onHand)
        line.field("reserved", stock.reserved)
        line.field("available", stock.available)
        line.field("isComplete", cutPartitions.isEmpty)
        line.field("projectedOnHand", orNull: row?.onHand)
        line.field("projectedReserved", orNull: row?.reserved)
        line.field("agreesWithProjection", orNull: agreesWithProjection)
    }
}

extension ExplainedEvent.Outcome {
    /// For people.
    fileprivate var name: String {
        switch self {
        case .applied: "applied"
        case .duplicate: "duplicate"
        case .deadLetter: "dead letter"
        }
    }

    /// In JSON.
    fileprivate var jsonName: String {
        switch self {
        case .applied: "applied"
        case .duplicate: "duplicate"
        case .deadLetter: "deadLetter"
        }
    }

    /// Why a record is a dead letter.
    fileprivate var reason: String? {
        guard case .deadLetter(let reason) = self else { return nil }
        return reason
    }
}

extension ExplainedEvent {
    /// What the numbers do not say.
    fileprivate var remarks: String {
        var parts: [String] = []
        if let reason = outcome.reason { parts.append(reason) }
        if outcome == .duplicate, let eventID { parts.append("eventId \(eventID)") }
        if let channel, let decision { parts.append("\(channel): \(decision)") }
        if let who { parts.append("by \(who)") }
        if let why { parts.append(why) }
        return parts.joined(separator: "; ")
    }

    fileprivate func write(to line: inout JSONLine, of explanation: Explanation) {
        line.field("row", "event")
        line.field("topic", explanation.topic.name)
        line.field("partition", partition)
        line.field("offset", offset.rawValue)
        line.field("timestamp", OutputTime.text(timestamp))
        line.field("eventType", orNull: eventType)
        line.field("recordedAt", orNull: recordedAt.map { OutputTime.text($0) })
        line.field("eventId", orNull: eventID)
        line.field("outcome", outcome.jsonName)
        line.field("reason", orNull: outcome.reason)
        line.field("onHandBefore", before.onHand)
        line.field("onHandAfter", after.onHand)
        line.field("reservedBefore", before.reserved)
        line.field("reservedAfter", after.reserved)
        line.field("availableBefore", before.available)
        line.field("availableAfter", after.available)
        line.field("channel", orNull: channel)
        line.field("decision", orNull: decision)
        line.field("who", orNull: who)
        line.field("why", orNull: why)
        line.field("projected", orNull: explanation.isProjected(self))
        let seenBy = explanation.groupsBehind(self)
        line.field("seenBy", seenBy)
        let others = explanation.groups.filter { $0.committed[partition] != nil }.map(\.name)
        line.field("notSeenBy", others.filter { !seenBy.contains($0) })
    }
}
