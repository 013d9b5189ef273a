/// A tagged field that the code has a name for (KIP-482).
package struct KnownTag {
    /// Its number, unique in its structure.
    package var tag: UInt32
    /// Its name, for the errors.
    package var field: String
    /// The first version that has it.
    package var from: Int16
    /// Whether there is something to write: fields at their default are not written.
    package var isSet: Bool
    /// Whether a value is dropped, not refused, where the version has no such field.
    package var isIgnorable: Bool

    /// A known tagged field.
    package init(
        _ tag: UInt32, _ field: String, from: Int16, isSet: Bool, isIgnorable: Bool = false
    ) {
        self.tag = tag
        self.field = field
        self.from = from
        self.isSet = isSet
        self.isIgnorable = isIgnorable
    }
}

/// The tagged fields of a structure that the code has no names for. They are kept, so that a
/// message is written again as it came.
package struct UnknownTags: Hashable, Sendable {
    /// One of them.
    package struct Field: Hashable, Sendable {
        /// Its number.
        package var tag: UInt32
        /// What it holds.
        package var bytes: [UInt8]

        /// A tagged field.
        package init(tag: UInt32, bytes: [UInt8]) {
            self.tag = tag
            self.bytes = bytes
        }
    }

    /// The fields; each tag once.
    package var fields: [Field]

    /// Unknown fields, or none.
    package init(_ fields: [Field] = []) { self.fields = fields }
}
