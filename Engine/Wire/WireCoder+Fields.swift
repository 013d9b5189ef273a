// The calls of which messages are made. Each names its field for the errors, and says in which
// versions the field is: from `from`, through `through`. Where the version has no such field, it
// keeps its value when read, which is its default; when written, a value other than `otherwise` is
// refused, unless the field `isIgnorable`, and then it is dropped. That is Kafka's rule.

extension WireCoder {
    /// Whether the version has the field; a value that would get lost is refused.
    private mutating func has(
        _ field: String, _ from: Int16, _ through: Int16, _ isIgnorable: Bool,
        isDefault: @autoclosure () -> Bool
    ) throws(WireError) -> Bool {
        if version >= from, version <= through { return true }
        if !isIgnorable { try leaveOut(field, isDefault: isDefault()) }
        return false
    }

    private mutating func number<Value: FixedWidthInteger>(
        _ field: String, _ value: inout Value, _ from: Int16, _ through: Int16,
        _ otherwise: Value, _ isIgnorable: Bool
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value == otherwise) {
            try integer(field, &value)
        }
    }

    /// One byte, true or false.
    package mutating func bool(
        _ field: String, _ value: inout Bool, from: Int16 = 0, through: Int16 = .max,
        otherwise: Bool = false, isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value == otherwise) {
            try truth(field, &value)
        }
    }

    /// An integer of one byte.
    package mutating func int8(
        _ field: String, _ value: inout Int8, from: Int16 = 0, through: Int16 = .max,
        otherwise: Int8 = 0, isIgnorable: Bool = false
    ) throws(WireError) {
        try number(field, &value, from, through, otherwise, isIgnorable)
    }

    /// An integer of two bytes.
    package mutating func int16(
        _ field: String, _ value: inout Int16, from: Int16 = 0, through: Int16 = .max,
        otherwise: Int16 = 0, isIgnorable: Bool = false
    ) throws(WireError) {
        try number(field, &value, from, through, otherwise, isIgnorable)
    }

    /// An integer of four bytes.
    package mutating func int32(
        _ field: String, _ value: inout Int32, from: Int16 = 0, through: Int16 = .max,
        otherwise: Int32 = 0, isIgnorable: Bool = false
    ) throws(WireError) {
        try number(field, &value, from, through, otherwise, isIgnorable)
    }

    /// An integer of eight bytes.
    package mutating func int64(
        _ field: String, _ value: inout Int64, from: Int16 = 0, through: Int16 = .max,
        otherwise: Int64 = 0, isIgnorable: Bool = false
    ) throws(WireError) {
        try number(field, &value, from, through, otherwise, isIgnorable)
    }

    /// An error code: an integer of two bytes.
    package mutating func errorCode(
        _ field: String, _ value: inout ErrorCode, from: Int16 = 0, through: Int16 = .max,
        isIgnorable: Bool = false
    ) throws(WireError) {
        try int16(
            field, &value.rawValue, from: from, through: through, isIgnorable: isIgnorable)
    }

    /// A UUID: sixteen bytes.
    package mutating func uuid(
        _ field: String, _ value: inout WireUUID, from: Int16 = 0, through: Int16 = .max,
        isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value == .zero) {
            try integer(field, &value.high)
            try integer(field, &value.low)
        }
    }

    /// Text that is never null.
    package mutating func string(
        _ field: String, _ value: inout String, from: Int16 = 0, through: Int16 = .max,
        isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value.isEmpty) {
            var text: String? = value
            try self.text(field, &text, isNullable: false)
            value = text ?? ""
        }
    }

    /// Text that may be null, from version `nullableFrom` on.
    package mutating func nullableString(
        _ field: String, _ value: inout String?, from: Int16 = 0, through: Int16 = .max,
        nullableFrom: Int16 = 0, otherwise: String? = nil, isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value == otherwise) {
            try text(field, &value, isNullable: version >= nullableFrom)
        }
    }

    /// Bytes that are never null.
    package mutating func bytes(
        _ field: String, _ value: inout [UInt8], from: Int16 = 0, through: Int16 = .max,
        isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value.isEmpty) {
            var blob: ArraySlice<UInt8>? = value[...]
            try self.blob(field, &blob, isNullable: false)
            value = Array(blob ?? [])
        }
    }

    /// Record batches, or null: bytes that are neither looked at nor copied when they are read. The
    /// slice keeps the whole frame in memory.
    package mutating func records(
        _ field: String, _ value: inout ArraySlice<UInt8>?
    ) throws(WireError) {
        try blob(field, &value, isNullable: true)
    }

    /// A structure in place.
    package mutating func structure<Value: WireStruct>(
        _ value: inout Value
    ) throws(WireError) {
        try value.code(&self)
    }

    /// A structure or null.
    package mutating func nullableStructure<Value: WireStruct>(
        _ field: String, _ value: inout Value?
    ) throws(WireError) {
        var isPresent = value != nil
        try presence(field, &isPresent)
        guard isPresent else {
            value = nil
            return
        }
        var structure = value ?? Value()
        try structure.code(&self)
        value = structure
    }

    /// The end of a structure none of whose tags is known.
    package mutating func tags(_ unknown: inout UnknownTags) throws(WireError) {
        unknown = try tags(unknown, known: []) { (_, _) in }
    }
}

// Arrays.
extension WireCoder {
    /// Structures, of which there may be none.
    package mutating func array<Element: WireStruct>(
        _ field: String, _ value: inout [Element], from: Int16 = 0, through: Int16 = .max,
        isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value.isEmpty) {
            var list: [Element]? = value
            try structures(field, &list, isNullable: false)
            value = list ?? []
        }
    }

    /// Structures, or null from version `nullableFrom` on.
    package mutating func nullableArray<Element: WireStruct>(
        _ field: String, _ value: inout [Element]?, from: Int16 = 0, through: Int16 = .max,
        nullableFrom: Int16 = 0, isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value?.isEmpty == true) {
            try structures(field, &value, isNullable: version >= nullableFrom)
        }
    }

    private mutating func structures<Element: WireStruct>(
        _ field: String, _ value: inout [Element]?, isNullable: Bool
    ) throws(WireError) {
        try list(field, &value, isNullable: isNullable, initial: Element()) {
            (coder, element) throws(WireError) in
            try element.code(&coder)
        }
    }

    /// Texts.
    package mutating func strings(
        _ field: String, _ value: inout [String], from: Int16 = 0, through: Int16 = .max,
        isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value.isEmpty) {
            var list: [String]? = value
            try nullableStrings(field, &list, isNullable: false)
            value = list ?? []
        }
    }

    /// Texts, or null.
    package mutating func nullableStrings(
        _ field: String, _ value: inout [String]?, isNullable: Bool = true
    ) throws(WireError) {
        try list(field, &value, isNullable: isNullable, initial: "") {
            (coder, element) throws(WireError) in
            try coder.string(field, &element)
        }
    }

    /// Integers of any one size.
    package mutating func integers<Element: FixedWidthInteger>(
        _ field: String, _ value: inout [Element], from: Int16 = 0, through: Int16 = .max,
        isIgnorable: Bool = false
    ) throws(WireError) {
        if try has(field, from, through, isIgnorable, isDefault: value.isEmpty) {
            var list: [Element]? = value
            try nullableIntegers(field, &list, isNullable: false)
            value = list ?? []
        }
    }

    /// Integers of any one size, or null.
    package mutating func nullableIntegers<Element: FixedWidthInteger>(
        _ field: String, _ value: inout [Element]?, isNullable: Bool = true
    ) throws(WireError) {
        try list(field, &value, isNullable: isNullable, initial: 0) {
            (coder, element) throws(WireError) in
            try coder.integer(field, &element)
        }
    }
}
