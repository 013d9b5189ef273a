/// How often a YAML text uses its anchors, told without parsing it.
///
/// Aliases of aliases let some lines stand for more nodes than there is time to compare, and the
/// parser compares the names of a mapping, which may be such. With few aliases there cannot be many
/// nodes: at most e^(n/e) times those that are written, for n aliases.
enum AliasCount {
    /// So many are taken: 130,000-fold at worst. AsyncAPI has `$ref` for more.
    static let max = 32

    /// Uses of anchors; more than there are where text that is no alias looks like one.
    static func of(_ text: String) -> Int {
        let anchors = Set(names(behind: UInt8(ascii: "&"), in: text))
        guard !anchors.isEmpty else { return 0 }
        return names(behind: UInt8(ascii: "*"), in: text).count { anchors.contains($0) }
    }

    private static func names(behind mark: UInt8, in text: String) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var current: [UInt8]?
        var previous = UInt8(ascii: "\n")
        for byte in text.utf8 {
            let isEnd = isDelimiter(byte)
            if let name = current, isEnd {
                names.append(name)
                current = nil
            } else if current != nil {
                current?.append(byte)
            } else if byte == mark, isDelimiter(previous) || previous == UInt8(ascii: ":") {
                current = []
            }
            previous = byte
        }
        if let current { names.append(current) }
        return names
    }

    private static func isDelimiter(_ byte: UInt8) -> Bool {
        byte <= UInt8(ascii: " ") || ",[]{}".utf8.contains(byte)
    }
}
