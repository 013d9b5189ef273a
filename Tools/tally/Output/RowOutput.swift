import ArgumentParser

/// Runs a command that prints rows, with standard output and error; what goes wrong is said on
/// standard error, and the exit code tells.
func printingRows(_ work: (CommandStreams) async throws -> Void) async throws {
    let streams = CommandStreams.standard()
    let code = await streams.run {
        try await work(streams)
        return ExitCodes.success
    }
    if code != ExitCodes.success { throw ExitCode(code) }
}

extension Output {
    /// Writes one JSON object as a line.
    func write(_ fields: (inout JSONLine) -> Void) throws {
        var line = JSONLine(isASCIIOnly: false)
        line.begin()
        fields(&line)
        line.end()
        try write(line.bytes)
    }
}

extension OutputTable {
    /// Adds a row; or, where JSON is asked for, writes it as a line at once.
    mutating func add(
        _ cells: @autoclosure () -> [String], orJSON fields: (inout JSONLine) -> Void,
        _ rows: RowOptions, to output: Output
    ) throws {
        if rows.json {
            try output.write(fields)
        } else {
            try add(cells(), to: output)
        }
    }
}

extension JSONLine {
    /// A text or null.
    mutating func field(_ name: StaticString, orNull value: String?) {
        if let value { return field(name, value) }
        self.name(name)
        null()
    }

    /// A truth value or null.
    mutating func field(_ name: StaticString, orNull value: Bool?) {
        if let value { return field(name, value) }
        self.name(name)
        null()
    }

    /// A list of texts.
    mutating func field(_ name: StaticString, _ values: [String]) {
        self.name(name)
        open("[")
        for value in values { string(value) }
        close("]")
    }
}
