/// Asks which versions of which requests a broker knows; the first request of a connection.
package struct ApiVersionsRequest: WireRequest {
    /// What answers it.
    package typealias Response = ApiVersionsResponse
    /// Its API.
    package static let api = APIKey.apiVersions
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...4
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 3

    /// The name of the client's library (version 3 and up; dropped in others).
    package var clientSoftwareName = ""
    /// The version of the client's library (version 3 and up; dropped in others).
    package var clientSoftwareVersion = ""
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("clientSoftwareName", &clientSoftwareName, from: 3, isIgnorable: true)
        try coder.string(
            "clientSoftwareVersion", &clientSoftwareVersion, from: 3, isIgnorable: true)
        try coder.tags(&unknownTags)
    }
}

/// The requests that a broker knows, and the features of its cluster.
package struct ApiVersionsResponse: WireResponse {
    /// What it answers.
    package typealias Request = ApiVersionsRequest

    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// The APIs that the broker knows.
    package var apiKeys: [SupportedAPI] = []
    /// How long the client has been slowed down for its quota (version 1 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// The features that the broker could have (version 3 and up; dropped in others).
    package var supportedFeatures: [SupportedFeature] = []
    /// The epoch of those features, or -1 (version 3 and up; dropped in others).
    package var finalizedFeaturesEpoch: Int64 = -1
    /// The features that the cluster uses (version 3 and up; dropped in others).
    package var finalizedFeatures: [FinalizedFeature] = []
    /// Whether the cluster is ready to leave ZooKeeper (version 3 and up; dropped in others).
    package var isZooKeeperMigrationReady = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.errorCode("errorCode", &errorCode)
        try coder.array("apiKeys", &apiKeys)
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 1, isIgnorable: true)
        let known = [
            KnownTag(
                0, "supportedFeatures", from: 3, isSet: !supportedFeatures.isEmpty,
                isIgnorable: true),
            KnownTag(
                1, "finalizedFeaturesEpoch", from: 3, isSet: finalizedFeaturesEpoch != -1,
                isIgnorable: true),
            KnownTag(
                2, "finalizedFeatures", from: 3, isSet: !finalizedFeatures.isEmpty,
                isIgnorable: true),
            KnownTag(
                3, "isZooKeeperMigrationReady", from: 3, isSet: isZooKeeperMigrationReady,
                isIgnorable: true),
        ]
        unknownTags = try coder.tags(unknownTags, known: known) {
            (coder, tag) throws(WireError) in
            switch tag {
            case 0: try coder.array("supportedFeatures", &supportedFeatures)
            case 1: try coder.int64("finalizedFeaturesEpoch", &finalizedFeaturesEpoch)
            case 2: try coder.array("finalizedFeatures", &finalizedFeatures)
            default: try coder.bool("isZooKeeperMigrationReady", &isZooKeeperMigrationReady)
            }
        }
    }

    /// The versions of one API.
    package struct SupportedAPI: WireStruct {
        /// The API.
        package var apiKey = APIKey.produce
        /// The oldest version.
        package var minVersion: Int16 = 0
        /// The newest version.
        package var maxVersion: Int16 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int16("apiKey", &apiKey.rawValue)
            try coder.int16("minVersion", &minVersion)
            try coder.int16("maxVersion", &maxVersion)
            try coder.tags(&unknownTags)
        }
    }

    /// A feature that the broker could have.
    package struct SupportedFeature: WireStruct {
        /// The name.
        package var name = ""
        /// The oldest version.
        package var minVersion: Int16 = 0
        /// The newest version.
        package var maxVersion: Int16 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.int16("minVersion", &minVersion)
            try coder.int16("maxVersion", &maxVersion)
            try coder.tags(&unknownTags)
        }
    }

    /// A feature that the cluster uses.
    package struct FinalizedFeature: WireStruct {
        /// The name.
        package var name = ""
        /// The newest level in use.
        package var maxVersionLevel: Int16 = 0
        /// The oldest level in use.
        package var minVersionLevel: Int16 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.int16("maxVersionLevel", &maxVersionLevel)
            try coder.int16("minVersionLevel", &minVersionLevel)
            try coder.tags(&unknownTags)
        }
    }
}
