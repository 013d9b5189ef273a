// What both ways to change configuration have in common.

/// A topic or a broker, and what is to be done to its settings.
package struct ConfigResource<Entry: WireStruct>: WireStruct {
    /// What the resource is: 2 a topic, 4 a broker.
    package var resourceType: Int8 = 0
    /// The name of the topic, or the number of the broker.
    package var resourceName = ""
    /// The settings.
    package var configs: [Entry] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The structure with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int8("resourceType", &resourceType)
        try coder.string("resourceName", &resourceName)
        try coder.array("configs", &configs)
        try coder.tags(&unknownTags)
    }
}

/// What became of one resource.
package struct ConfigResourceResult: WireStruct {
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// What went wrong, for people.
    package var errorMessage: String? = ""
    /// What the resource is: 2 a topic, 4 a broker.
    package var resourceType: Int8 = 0
    /// The name of the topic, or the number of the broker.
    package var resourceName = ""
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The structure with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.errorCode("errorCode", &errorCode)
        try coder.nullableString("errorMessage", &errorMessage)
        try coder.int8("resourceType", &resourceType)
        try coder.string("resourceName", &resourceName)
        try coder.tags(&unknownTags)
    }
}
