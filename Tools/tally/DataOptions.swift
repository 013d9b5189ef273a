import ArgumentParser

/// What every command that opens a data directory takes.
struct DataOptions: ParsableArguments {
    @Option(name: .long, help: "The data directory.")
    var data = "./tally-data"
}

/// What every command that prints rows takes.
struct RowOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON Lines: one object a row.")
    var json = false
}
