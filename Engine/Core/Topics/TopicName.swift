/// What a topic may be called: Kafka's rules.
package enum TopicName {
    /// Throws ``EngineError/invalidTopicName(name:reason:)`` where Kafka would refuse the name.
    package static func check(_ name: String) throws(EngineError) {
        func refuse(_ reason: String) -> EngineError {
            .invalidTopicName(name: name, reason: reason)
        }
        if name.isEmpty { throw refuse("it is empty") }
        if name == "." || name == ".." { throw refuse("it names a directory") }
        if name.utf8.count > TopicLimits.nameLengthMax {
            throw refuse("it is longer than \(TopicLimits.nameLengthMax) characters")
        }
        let isValid = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        if !isValid {
            throw refuse("only ASCII letters, digits, dot, underscore and dash are allowed")
        }
    }

    /// Topic and partition of a partition directory's name; nil for other names.
    static func split(_ directory: String) -> (topic: String, partition: Int32)? {
        guard let dash = directory.lastIndex(of: "-"), dash != directory.startIndex,
            let partition = Int32(directory[directory.index(after: dash)...]), partition >= 0,
            directory[directory.index(after: dash)...].allSatisfy({ $0.isASCII && $0.isNumber })
        else { return nil }
        return (String(directory[..<dash]), partition)
    }
}
