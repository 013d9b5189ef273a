/// The columns of a table, in order, as its first row names them.
package struct CSVHeader: Hashable, Sendable {
    package let columns: [String]

    /// - Throws: when a name is there twice. Columns without a name cannot be asked for, so there
    ///   may be any number of them.
    package init(columns: [String]) throws(ImportOptionError) {
        var seen: Set<String> = []
        var duplicates: [String] = []
        for name in columns where !name.isEmpty {
            if !seen.insert(name).inserted, !duplicates.contains(name) {
                duplicates.append(name)
            }
        }
        guard duplicates.isEmpty else {
            throw .duplicateColumns(names: duplicates, columns: columns)
        }
        self.columns = columns
    }

    /// The index of the column `name`, which the user wrote in `text`.
    package func index(of name: String, in text: String) throws(ImportOptionError) -> Int {
        guard !name.isEmpty, let index = columns.firstIndex(of: name) else {
            throw .unknownColumn(name: name, in: text, columns: columns)
        }
        return index
    }
}
