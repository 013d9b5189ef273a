/// New configuration for topics or brokers, in place of all that was set.
package struct AlterConfigsRequest: WireRequest {
    /// What answers it.
    package typealias Response = AlterConfigsResponse
    /// Its API.
    package static let api = APIKey.alterConfigs
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...2
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 2

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
        /// The value.
        package var value: String? = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.nullableString("value", &value)
            try coder.tags(&unknownTags)
        }
    }
}

/// Which of the resources were changed.
package struct AlterConfigsResponse: WireResponse {
    /// What it answers.
    package typealias Request = AlterConfigsRequest

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
