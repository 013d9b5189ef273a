import ArgumentParser
import Tally

/// `tally groups describe`.
struct GroupsDescribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show how far a consumer group has read each partition.",
        discussion: """
            Takes no lock: an application may have the directory open. Shown are all partitions of \
            the topics in which the group has committed an offset. A partition without one shows \
            "-" and does not count in the total: where the group would begin there is up to its \
            auto.offset.reset. Lag counts offsets between what is committed and the end of the \
            log as the files show it, so that what is not synced yet counts; inside of the \
            application Engine.lag(ofGroup:) counts up to the high watermark and names members.

            Which member reads a partition is what the application that has the directory open \
            noted some moments ago (group-members.json). Where it has not the column is "?"; "-" \
            is a partition that nobody reads. A crash leaves the note behind.

            --json prints an object a line. row "partition": topic, partition, committed, \
            logStart, logEnd, lag (each null where it is not known), leaderEpoch, metadata, \
            committedAt, member. row "member": member, clientId, instanceId, partitions, lag. \
            row "pending": topic, partition, producerId, offset: what a transaction has written \
            and not committed yet. row "summary": group, state, generation, \
            protocolType, emptySince, lag.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The group.")
    var group: String

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let reader = try GroupsReader(directory: data.data)
            let found = try reader.group(group)
            let lags = reader.lags(of: found)
            let state = reader.state(of: found)
            let members = reader.members(of: found)
            let isKnown = members != nil || state == GroupState.empty.rawValue
            var table = OutputTable([
                .text("topic"), .number("partition"), .number("committed"), .number("log start"),
                .number("log end"), .number("lag"), .text("member"), .text("committed at"),
                .text("metadata"),
            ])
            for lag in lags {
                try table.add(
                    lag.cells(nobody: isKnown ? "-" : "?"), orJSON: lag.fields, rows,
                    to: streams.output)
            }
            try table.flush(to: streams.output)
            try printPending(found, streams)
            try printMembers(members?.members ?? [], lags, streams)
            try printSummary(found, lags, state, streams)
            for lag in lags { try note(lag, streams) }
        }
    }

    private func printPending(_ group: StoredGroup, _ streams: CommandStreams) throws {
        for pending in group.pendingOffsets {
            for (partition, offset) in pending.offsets.sorted(by: { $0.key < $1.key }) {
                guard rows.json else {
                    try streams.output.write(
                        line: "pending: offset \(offset.offset) of \(partition), in a transaction "
                            + "of producer \(pending.producerID) that has not ended")
                    continue
                }
                try streams.output.write { line in
                    line.field("row", "pending")
                    line.field("topic", partition.topic)
                    line.field("partition", partition.partition)
                    line.field("producerId", pending.producerID)
                    line.field("offset", offset.offset.rawValue)
                }
            }
        }
    }

    /// How far each member is behind.
    private func printMembers(
        _ members: [GroupNotes.Member], _ lags: [PartitionLag], _ streams: CommandStreams
    ) throws {
        for member in members {
            let own = lags.filter { $0.memberID == member.id }
            guard rows.json else {
                let instance = member.instanceID.map { ", instance \(OutputText.line($0))" } ?? ""
                try streams.output.write(
                    line: "member \(OutputText.line(member.id))\(instance): "
                        + "\(Format.count(own.count, "partition")), lag \(own.total.grouped)")
                continue
            }
            try streams.output.write { line in
                line.field("row", "member")
                line.field("member", member.id)
                line.field("clientId", member.clientID)
                line.field("instanceId", orNull: member.instanceID)
                line.field("partitions", own.count)
                line.field("lag", own.total)
            }
        }
    }

    private func printSummary(
        _ group: StoredGroup, _ lags: [PartitionLag], _ state: String, _ streams: CommandStreams
    ) throws {
        let metadata = group.metadata
        let since = metadata.emptySince.map { OutputTime.text($0) }
        guard !rows.json else {
            return try streams.output.write { line in
                line.field("row", "summary")
                line.field("group", group.group)
                line.field("state", state)
                line.field("generation", metadata.generation)
                line.field("protocolType", orNull: metadata.protocolType)
                line.field("emptySince", orNull: since)
                line.field("lag", lags.total)
            }
        }
        let uncommitted = lags.filter { $0.committed == nil }.count
        var text = "total lag \(lags.total.grouped)"
        if uncommitted > 0 {
            text +=
                ", without \(Format.count(uncommitted, "partition")) that nothing is "
                + "committed for"
        }
        let emptiness = since.map { " since \($0)" } ?? ""
        text += "; generation \(metadata.generation); state \(state)\(emptiness)"
        if state == "Unknown" {
            text += ": its members are known to the application that has the directory open"
        }
        try streams.output.write(line: text)
    }

    /// Tells what a number does not.
    private func note(_ lag: PartitionLag, _ streams: CommandStreams) throws {
        guard let offset = lag.committed?.offset else { return }
        guard let start = lag.logStart, let end = lag.logEnd else {
            return try streams.note(
                "note: \(lag.partition) is not there, or cannot be read: its lag is not known")
        }
        if offset < start {
            try streams.note(
                "note: \(lag.partition): offsets \(offset) to \(start) (exclusive) were deleted "
                    + "before they were read")
        } else if offset > end {
            try streams.note(
                "note: \(lag.partition): the log ends at \(end), before what is committed")
        }
    }
}

extension PartitionLag {
    fileprivate func cells(nobody: String) -> [String] {
        [
            partition.topic, "\(partition.partition)",
            committed.map { "\($0.offset)" } ?? "-", logStart.map { "\($0)" } ?? "-",
            logEnd.map { "\($0)" } ?? "-", lag.map(\.grouped) ?? "-",
            memberID.map(OutputText.line) ?? nobody,
            OutputTime.text(committed?.commitTimestamp), OutputText.line(committed?.metadata ?? ""),
        ]
    }

    fileprivate func fields(_ line: inout JSONLine) {
        line.field("row", "partition")
        line.field("topic", partition.topic)
        line.field("partition", partition.partition)
        line.field("committed", orNull: committed?.offset.rawValue)
        line.field("logStart", orNull: logStart?.rawValue)
        line.field("logEnd", orNull: logEnd?.rawValue)
        line.field("lag", orNull: lag)
        line.field("leaderEpoch", orNull: committed?.leaderEpoch.rawValue)
        line.field("metadata", orNull: committed?.metadata)
        line.field(
            "committedAt", orNull: committed.map { OutputTime.text($0.commitTimestamp) })
        line.field("member", orNull: memberID)
    }
}
