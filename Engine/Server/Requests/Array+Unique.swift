extension Array {
    /// The elements, each once, by what makes them the same: asking twice gets one answer, and no
    /// request gets an answer that is many times as large for it.
    func unique<Key: Hashable>(by key: (Element) -> Key) -> [Element] {
        var seen: Set<Key> = []
        return filter { seen.insert(key($0)).inserted }
    }
}

extension Array where Element: Hashable {
    /// The elements, each once.
    func unique() -> [Element] { unique(by: \.self) }
}
