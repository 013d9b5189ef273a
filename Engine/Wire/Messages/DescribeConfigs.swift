/// Asks for the configuration of topics or brokers.
package struct DescribeConfigsRequest: WireRequest {
    /// What answers it.
    package typealias Response = DescribeConfigsResponse
    /// Its API.
    package static let api = APIKey.describeConfigs
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 1...4
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 4

    /// The resources.
    package var resources: [Resource] = []
    /// Whether to tell all places that a value could come from.
    package var includeSynonyms = false
    /// Whether to tell what the settings are for (version 3 and up).
    package var includeDocumentation = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("resources", &resources)
        try coder.bool("includeSynonyms", &includeSynonyms)
        try coder.bool("includeDocumentation", &includeDocumentation, from: 3)
        try coder.tags(&unknownTags)
    }

    /// A topic or a broker.
    package struct Resource: WireStruct {
        /// What the resource is: 2 a topic, 4 a broker.
        package var resourceType: Int8 = 0
        /// The name of the topic, or the number of the broker.
        package var resourceName = ""
        /// The names of the settings that are wanted, or null for all.
        package var configurationKeys: [String]? = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int8("resourceType", &resourceType)
            try coder.string("resourceName", &resourceName)
            try coder.nullableStrings("configurationKeys", &configurationKeys)
            try coder.tags(&unknownTags)
        }
    }
}

/// The configuration of each resource.
package struct DescribeConfigsResponse: WireResponse {
    /// What it answers.
    package typealias Request = DescribeConfigsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The results, one for each that was asked for.
    package var results: [Resource] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("results", &results)
        try coder.tags(&unknownTags)
    }

    /// A topic or a broker.
    package struct Resource: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// What went wrong, for people.
        package var errorMessage: String? = ""
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
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("errorMessage", &errorMessage)
            try coder.int8("resourceType", &resourceType)
            try coder.string("resourceName", &resourceName)
            try coder.array("configs", &configs)
            try coder.tags(&unknownTags)
        }
    }

    /// One setting.
    package struct Entry: WireStruct {
        /// The name.
        package var name = ""
        /// The value.
        package var value: String? = ""
        /// Whether the value cannot be changed.
        package var isReadOnly = false
        /// Where the value comes from, as Kafka numbers it; -1 is unknown.
        package var configSource: Int8 = -1
        /// Whether the value is secret; it is null then.
        package var isSensitive = false
        /// All places that the value could come from, the first one in use.
        package var synonyms: [Synonym] = []
        /// The type of the value, as Kafka numbers it; 0 is unknown (version 3 and up; dropped in
        /// others).
        package var configType: Int8 = 0
        /// What the setting is for (version 3 and up; dropped in others).
        package var documentation: String? = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.nullableString("value", &value)
            try coder.bool("isReadOnly", &isReadOnly)
            try coder.int8("configSource", &configSource)
            try coder.bool("isSensitive", &isSensitive)
            try coder.array("synonyms", &synonyms)
            try coder.int8("configType", &configType, from: 3, isIgnorable: true)
            try coder.nullableString("documentation", &documentation, from: 3, isIgnorable: true)
            try coder.tags(&unknownTags)
        }
    }

    /// A place that a setting could come from.
    package struct Synonym: WireStruct {
        /// The name.
        package var name = ""
        /// The value.
        package var value: String? = ""
        /// Where the value comes from, as Kafka numbers it.
        package var source: Int8 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.nullableString("value", &value)
            try coder.int8("source", &source)
            try coder.tags(&unknownTags)
        }
    }
}
