import Yams

/// One node of a document, and the way to it. A value.
struct DocumentNode {
    let node: Node
    let path: [String]
    /// The line of its name, or where it begins.
    private let line: Int?
    private let file: String
    private let root: Node

    /// More references than this after one another lead in a circle.
    private static let referencesMax = 32

    /// The root of a document.
    init(root: Node, file: String) {
        self.init(root, path: [], line: root.mark?.line, file: file, root: root)
    }

    private init(_ node: Node, path: [String], line: Int?, file: String, root: Node) {
        self.node = node
        self.path = path
        self.line = line
        self.file = file
        self.root = root
    }

    var place: ContractPlace {
        ContractPlace(file: file, line: line, path: path.joined(separator: "."))
    }

    func error(_ reason: String) -> ContractError { ContractError(place, reason) }

    // MARK: Mappings

    /// The members of a mapping, in order, references followed.
    ///
    /// Throws where it is none.
    func members() throws(ContractError) -> [(name: String, node: DocumentNode)] {
        guard case .mapping(let mapping) = node else {
            throw error("found \(kind), and a mapping (name: value) belongs here")
        }
        var members: [(name: String, node: DocumentNode)] = []
        for (key, value) in mapping {
            guard case .scalar(let name) = key else {
                throw error("found a name that is no text; names are text")
            }
            let member = DocumentNode(
                value, path: path + [name.string], line: key.mark?.line ?? value.mark?.line,
                file: file, root: root)
            members.append((name.string, try member.resolved()))
        }
        return members
    }

    /// The names of a mapping's members; what they are is not looked at. None where it is none.
    var names: [String] {
        guard case .mapping(let mapping) = node else { return [] }
        return mapping.keys.compactMap { key in
            if case .scalar(let name) = key { name.string } else { nil }
        }
    }

    /// A member, references followed; nil where there is none, or only `null`.
    func member(_ name: String) throws(ContractError) -> DocumentNode? {
        guard case .mapping(let mapping) = node else {
            throw error("found \(kind), and a mapping (name: value) belongs here")
        }
        guard let index = mapping.index(forKey: Node(name)) else { return nil }
        let (key, value) = mapping[index]
        let member = DocumentNode(
            value, path: path + [name], line: key.mark?.line ?? value.mark?.line, file: file,
            root: root)
        return member.isNull ? nil : try member.resolved()
    }

    /// A member that has to be there.
    func required(_ name: String) throws(ContractError) -> DocumentNode {
        guard let member = try member(name) else {
            throw error("\(name) is missing, which AsyncAPI 3.0 requires here")
        }
        return member
    }

    /// What a `$ref` leads to; else this. The path stays that of the reference.
    private func resolved() throws(ContractError) -> DocumentNode {
        var found = node
        for _ in 0..<Self.referencesMax {
            guard case .mapping(let mapping) = found, let reference = mapping["$ref"] else {
                return DocumentNode(found, path: path, line: line, file: file, root: root)
            }
            guard case .scalar(let target) = reference, target.string.hasPrefix("#/") else {
                throw error("only references into the same document (#/...) are followed")
            }
            guard let next = look(up: target.string) else {
                throw error("the reference \(target.string) leads nowhere in this document")
            }
            found = next
        }
        throw error("the references lead in a circle, or are more than \(Self.referencesMax)")
    }

    /// Follows a JSON pointer: `#/components/messages/order`, with `~1` for a slash.
    private func look(up pointer: String) -> Node? {
        var found = root
        for part in pointer.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
            let name = String(part.replacing("~1", with: "/").replacing("~0", with: "~"))
            guard case .mapping(let mapping) = found, let next = mapping[name] else { return nil }
            found = next
        }
        return found
    }

    // MARK: Lists and values

    /// The elements of a list. Throws where it is none.
    func elements() throws(ContractError) -> [DocumentNode] {
        guard case .sequence(let sequence) = node else {
            throw error("found \(kind), and a list ([a, b]) belongs here")
        }
        var elements: [DocumentNode] = []
        for (index, element) in sequence.enumerated() {
            let path = path + ["\(index)"]
            let node = DocumentNode(
                element, path: path, line: element.mark?.line ?? line, file: file, root: root)
            elements.append(try node.resolved())
        }
        return elements
    }

    var isNull: Bool {
        if case .scalar = node { node.tag == Tag(.null) } else { false }
    }

    var isList: Bool { if case .sequence = node { true } else { false } }

    var isMapping: Bool { if case .mapping = node { true } else { false } }

    /// The text of a value, as it is written. Throws where it is a list or a mapping.
    func text() throws(ContractError) -> String {
        guard case .scalar(let scalar) = node, !isNull else {
            throw error("found \(kind), and a value belongs here")
        }
        return scalar.string
    }

    /// A whole number. Throws where it is none, or outside.
    func integer(_ range: ClosedRange<Int>) throws(ContractError) -> Int {
        guard case .scalar(let scalar) = node, let number = Int.construct(from: scalar) else {
            throw error("found \(kind), and a whole number belongs here")
        }
        guard range.contains(number) else {
            let allowed =
                range.upperBound == .max
                ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
            throw error("found \(number); allowed is \(allowed)")
        }
        return number
    }

    /// What is found here, for messages.
    var kind: String {
        switch node {
        case .scalar(let scalar):
            isNull ? "nothing" : "\"\(scalar.string.prefix(80))\""
        case .sequence: "a list"
        case .mapping: "a mapping"
        case .alias: "an alias"
        }
    }
}
