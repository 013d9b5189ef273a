import ArgumentParser

/// `tally cluster`.
struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract:
            "Look at a cluster of `tally serve --cluster`, and change who keeps and leads what.",
        subcommands: [
            ClusterStatusCommand.self, ClusterElectCommand.self, ClusterReassignCommand.self,
            ClusterRemoveCommand.self, ClusterAddCommand.self,
        ])
}

/// Where the cluster's members agree.
struct ClusterOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The cluster: \(ClusterStore.help)", valueName: "store"))
    var cluster: ClusterStore
}
