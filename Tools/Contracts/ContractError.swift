/// Where something stands in a contract.
package struct ContractPlace: Hashable, Sendable, CustomStringConvertible {
    /// The file's name as it was given.
    package var file: String
    /// The line, from 1; nil where nobody can tell.
    package var line: Int?
    /// The way through the document: `channels.orders.bindings.kafka.partitions`.
    package var path: String

    /// Any place.
    package init(file: String, line: Int? = nil, path: String) {
        self.file = file
        self.line = line
        self.path = path
    }

    /// As compilers write it: `shop.yaml:12: channels.orders`.
    package var description: String {
        let start = line.map { "\(file):\($0)" } ?? file
        return path.isEmpty ? start : "\(start): \(path)"
    }
}

/// Why a document is no contract: what is wrong where, and what would be right.
package struct ContractError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where.
    package var place: ContractPlace
    /// What is wrong, and what is allowed.
    package var reason: String

    /// An error at a place.
    package init(_ place: ContractPlace, _ reason: String) {
        self.place = place
        self.reason = reason
    }

    /// Place and reason on a line.
    package var description: String { "\(place): \(reason)" }
}
