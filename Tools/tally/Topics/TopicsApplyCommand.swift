import ArgumentParser
import Tally
import TallyContracts
import TallyFiles

/// `tally topics apply`.
struct TopicsApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Create and change topics so that they match a contract.",
        discussion: """
            The contract is an AsyncAPI 3.0 document with Kafka bindings. The difference is shown \
            first: + is new, ~ changes, = is so already. A setting that the contract does not \
            state follows its default again; topics that it does not name are left alone. Nothing \
            is done where something cannot be: fewer partitions, more partitions of a keyed \
            topic, values that cannot be used. --dry-run only shows, without a lock; where \
            nothing is to be done, no lock is taken either. A topic in use by an application is \
            changed by that application: Engine.alterTopic, Engine.createPartitions.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The contract.")
    var contract: String

    @Flag(help: "Show the difference and do nothing.")
    var dryRun = false

    @Flag(help: "Give keyed topics more partitions although most keys move.")
    var allowKeyMovement = false

    @OptionGroup var data: DataOptions

    func run() async throws {
        let contract = try ContractFile.read(contract)
        let (directory, mayMoveKeys) = (data.data, allowKeyMovement)
        let isThere = try PosixFileSystem().information(directory) != nil
        let found = isThere ? try DirectoryReader(path: directory).topics() : []
        let plan = try Self.plan(contract, found, in: directory, mayMoveKeys)
        for step in plan.steps {
            for line in step.lines { Console.out(line) }
        }
        if !plan.others.isEmpty {
            Console.note(
                "Not in the contract, and left alone: \(plan.others.joined(separator: ", "))")
        }
        guard plan.refusals.isEmpty else {
            throw CommandFailure(
                plan.refusals.joined(separator: "\nerror: ") + "\nNothing was changed.")
        }
        if plan.isSame { return Console.note("Nothing to do.") }
        if dryRun { return Console.note("Nothing was changed: this was a dry run.") }
        try await withEngine(at: directory) { engine in
            let now = try Self.plan(contract, try engine.topics(), in: directory, mayMoveKeys)
            guard now == plan else {
                throw CommandFailure(
                    "the topics have changed since the difference was shown; nothing was done: "
                        + "run the command again")
            }
            try await now.apply(to: engine)
        }
        Console.note("Done.")
    }

    private static func plan(
        _ contract: Contract, _ topics: [TopicDescription], in directory: String,
        _ mayMoveKeys: Bool
    ) throws -> ContractPlan {
        try ContractPlan(contract, topics: topics, mayMoveKeys: mayMoveKeys) { topic in
            var survey = KeySurvey()
            return try survey.hasKeyedRecords(in: topic.places(in: directory))
        }
    }
}

extension TopicDescription {
    /// Its partitions' directories, and where their logs begin.
    func places(in directory: String) -> [(path: String, logStart: Offset)] {
        partitions.map { (joinPath(directory, "\(name)-\($0.index)"), $0.logStart) }
    }
}
