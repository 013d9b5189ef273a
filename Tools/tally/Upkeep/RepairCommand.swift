import ArgumentParser
import Foundation
import Tally
import TallyFiles
import TallyLog
import TallyRecords

/// `tally repair`: mends a partition, or all of a data directory, that no application has open.
package struct RepairCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Mend partitions: rebuild indexes and snapshots, cut a damaged end.",
        discussion: """
            PATH is a partition directory, or a data directory for all its partitions. It says \
            what is wrong and what it is going to do, and does it; with --dry-run it only says.

            Indexes (.index, .timeindex, .txnindex), snapshots of producers and \
            leader-epoch-checkpoint are built again from the log where they are missing, torn or \
            untrue. Nothing is lost by that.

            A log that is itself damaged is cut only with --cut-from OFFSET, where OFFSET is the \
            one that repair names: the log ends there, records at that offset and behind it are \
            gone from it, sound ones among them. They are kept in side files (.log.cut-BYTE). \
            Better, if there is a copy of the damaged file: put it back.

            The data directory is locked meanwhile: close the application first. A partition \
            directory with no data directory around it can be repaired as well.

            Exit codes: 0 nothing is wrong any more; 1 something is left to do, or would be done \
            by a run without --dry-run; 64 wrong arguments; 66 no such directory.
            """)

    @Argument(help: "A partition directory, or a data directory.")
    var path: String

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    @Option(help: "End the damaged log at this offset, the one that repair names.")
    var cutFrom: Int64?

    package init() {}

    package func run() async throws {
        let streams = CommandStreams.standard()
        let code = await streams.run { try run(streams) }
        if code != ExitCodes.success { throw ExitCode(code) }
    }

    /// Does the work; the exit code.
    private func run(_ streams: CommandStreams) throws -> Int32 {
        let resolved = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        let found = try PosixFileSystem().information(resolved)
        guard found?.isDirectory == true else {
            let reason =
                found == nil
                ? "does not exist; where a partition's directory is lost, restore it, or make an "
                    + "empty one and repair that"
                : "is a file; name the partition directory that holds it"
            throw CommandFailure("\(path) \(reason)", exitCode: ExitCodes.noInput)
        }
        let repair = try DirectoryRepair(path: resolved)
        guard cutFrom == nil || !repair.isWholeDirectory else {
            throw CommandFailure(
                "--cut-from concerns one partition: name its directory, and not the data "
                    + "directory \(path)", exitCode: ExitCodes.usage)
        }
        guard !repair.partitions.isEmpty || !repair.missing.isEmpty else {
            throw CommandFailure(
                "\(path) holds no partitions (<topic>-<number>)", exitCode: ExitCodes.noInput)
        }
        return try RepairRun(repair, streams, isDryRun: dryRun, cutFrom.map { Offset($0) }).run()
    }

    /// Runs the command with these arguments, as the program would; its exit code.
    package static func run(_ arguments: [String], _ streams: CommandStreams) async -> Int32 {
        await streams.run {
            do {
                return try parse(arguments).run(streams)
            } catch let error where exitCode(for: error).rawValue == ExitCodes.usage {
                throw CommandFailure(message(for: error), exitCode: ExitCodes.usage)
            }
        }
    }
}

/// One run of `tally repair`: what it says, in order.
private struct RepairRun {
    private let repair: DirectoryRepair
    private let streams: CommandStreams
    private let isDryRun: Bool
    private let cutOffset: Offset?

    init(
        _ repair: DirectoryRepair, _ streams: CommandStreams, isDryRun: Bool, _ cutOffset: Offset?
    ) {
        self.repair = repair
        self.streams = streams
        self.isDryRun = isDryRun
        self.cutOffset = cutOffset
    }

    func run() throws -> Int32 {
        let count = repair.partitions.count
        if repair.isWholeDirectory {
            let kind = repair.dataDirectory == nil ? "directory" : "data directory"
            try say("a \(kind) of \(count) partition\(count == 1 ? "" : "s")")
        }
        if repair.dataDirectory == nil {
            try say("no data directory around it: every byte counts as stored once")
        }
        var code = ExitCodes.success
        var changedCount = 0
        for lost in repair.missing {
            code = ExitCodes.failure
            try tell(lost)
        }
        for partition in repair.partitions {
            let plan = try repair.plan(partition, cuttingFrom: cutOffset)
            if let refusal = plan.refusal {
                throw CommandFailure("\(plan.partition): \(refusal). Nothing was changed.")
            }
            try tell(plan)
            if !plan.mendsEverything || isDryRun && !plan.steps.isEmpty {
                code = ExitCodes.failure
            }
            guard !plan.steps.isEmpty else { continue }
            changedCount += 1
            // The plan is there to read before anything happens.
            try streams.output.flush()
            if !isDryRun { try apply(plan) }
        }
        if changedCount == 0 {
            try say(code == ExitCodes.success ? "nothing to do" : "nothing was changed")
        } else {
            try say(isDryRun ? "nothing was changed (--dry-run)" : "done")
        }
        return code
    }

    private func tell(_ plan: RepairPlan) throws {
        if let damage = plan.damage {
            try say(
                "\(plan.partition): the log is damaged at byte \(damage.position) of "
                    + "\(damage.file): \(damage.reason)")
            try tell(damage, plan)
        }
        for problem in plan.leftAlone {
            try say("\(plan.partition): repair cannot mend this: \(problem)")
        }
        for step in plan.steps { try say("\(plan.partition): will \(step)") }
    }

    private func tell(_ damage: RepairDamage, _ plan: RepairPlan) throws {
        let segments = Format.count(damage.segmentCount, "segment")
        let extent = "\(damage.byteCount) bytes in \(segments), from offset \(damage.offset) on"
        if plan.isCutting {
            try say("  ending the log at offset \(damage.offset) takes \(extent), out of it")
        } else if damage.isCutByOpening {
            try say(
                "  that was not stored yet: the next opening of the engine cuts it off, and "
                    + "keeps it in a side file")
        } else {
            try say(
                "  restore the file from a copy; or give up \(extent), sound records among "
                    + "them, with:")
            try say("  tally repair \(plan.directory.shellQuoted) --cut-from \(damage.offset)")
        }
    }

    private func tell(
        _ lost: (name: String, recoveryPoint: Offset, logStart: Offset)
    ) throws {
        let path = joinPath(repair.dataDirectory ?? ".", lost.name).shellQuoted
        try say(
            "\(lost.name): the directory is missing, but offsets up to \(lost.recoveryPoint) were "
                + "on stable storage")
        try say("  restore the directory from a copy; or give its records up, with:")
        try say("  mkdir \(path) && tally repair \(path) --cut-from \(lost.logStart)")
    }

    private func apply(_ plan: RepairPlan) throws {
        var failure: (any Error)?
        try repair.apply(plan) { step, keptIn in
            guard let keptIn, failure == nil else { return }
            do {
                try say("\(plan.partition): kept what was cut in \(keptIn)")
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private func say(_ line: String) throws { try streams.output.write(line: line) }
}
