/// Why more partitions are no small matter for records with keys.
enum KeyMovement {
    /// What is said instead of doing it.
    static func refusal(
        of topic: String, from old: Int, to new: Int, because reason: String
    ) -> String {
        // A key stays only where both remainders agree: of `new` residues, as many as the common
        // multiple leaves. For a growth from n to m that is gcd(n, m) / m of them.
        let staying = greatestCommonDivisor(old, new)
        let moving = Double(new - staying) / Double(new) * 100
        return """
            topic \(topic) is keyed (\(reason)), and with \(new) instead of \(old) partitions \
            about \(Format.fixed(moving, 0)) % of its keys go to another partition from now on. \
            Their earlier records stay where they are, so that a consumer may see a later record \
            of a key before an earlier one, two members of a group may work on one key at the \
            same time, and state that is kept per partition has other keys' values. The \
            controlled way is a new topic: `tally topics migrate \(topic) --to ANOTHER \
            --partitions \(new)`. To do it all the same, say --allow-key-movement
            """
    }

    private static func greatestCommonDivisor(_ first: Int, _ second: Int) -> Int {
        second == 0 ? first : greatestCommonDivisor(second, first % second)
    }
}
