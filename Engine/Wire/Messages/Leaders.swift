// What answers to a client that asked the wrong broker say of the right one.

/// Who leads a partition now.
package struct CurrentLeader: WireStruct {
    /// The broker that leads, or -1.
    package var leaderID: Int32 = -1
    /// The leader epoch, or -1.
    package var leaderEpoch: Int32 = -1
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The structure with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("leaderID", &leaderID)
        try coder.int32("leaderEpoch", &leaderEpoch)
        try coder.tags(&unknownTags)
    }
}

/// Where a broker listens.
package struct NodeEndpoint: WireStruct {
    /// The broker.
    package var nodeID: Int32 = 0
    /// The host name.
    package var host = ""
    /// The port.
    package var port: Int32 = 0
    /// The rack of the broker.
    package var rack: String?
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The structure with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("nodeID", &nodeID)
        try coder.string("host", &host)
        try coder.int32("port", &port)
        try coder.nullableString("rack", &rack)
        try coder.tags(&unknownTags)
    }
}
