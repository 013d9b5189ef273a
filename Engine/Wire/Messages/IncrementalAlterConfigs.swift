/// Single changes to the configuration of topics or brokers.
package struct IncrementalAlterConfigsRequest: WireRequest {
    /// What answers it.
    package typealias Response = IncrementalAlterConfigsResponse
    /// Its API.
    package static let api = APIKey.incrementalAlterConfigs
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...1
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 1

    /// The resources.
    package var resources: [Resource] = []
    /// Whether to check the request and change nothing.
    package var validateOnly = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("resources", &resources)
        try coder.bool("validateOnly", &validateOnly)
        try coder.tags(&unknownTags)
    }

    /// A topic or a broker.
    package typealias Resource = ConfigResource<Entry>

    /// One setting.
    package struct Entry: WireStruct {
        /// The name.
        package var name = ""
        /// What is to be done: 0 set, 1 delete, 2 append, 3 subtract.
        package var configOperation: Int8 = 0
        /// The value.
        package var value: String? = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.int8("configOperation", &configOperation)
            try coder.nullableString("value", &value)
            try coder.tags(&unknownTags)
        }
    }
}

/// Which of the resources were changed.
package struct IncrementalAlterConfigsResponse: WireResponse {
    /// What it answers.
    package typealias Request = IncrementalAlterConfigsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The results, one for each that was asked for.
    package var responses: [Result] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("responses", &responses)
        try coder.tags(&unknownTags)
    }

    /// What became of one resource.
    package typealias Result = ConfigResourceResult
}
