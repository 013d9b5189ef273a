/// How to reach an etcd, and where in it a cluster keeps its keys.
public struct EtcdConfiguration: Hashable, Sendable {
    /// The client URLs of its members, such as `http://10.0.0.1:2379`: one after the other is
    /// tried.
    public var endpoints: [String]
    /// What all keys begin with in etcd, so that several clusters can share it. Visible ASCII, one
    /// character at least.
    public var keyPrefix: String
    /// How long a call may take, over all endpoints.
    public var callMillisecondsMax: Int64 = 5000
    /// How long to wait for a connection to one endpoint.
    public var connectMillisecondsMax: Int64 = 2000
    /// After so long without a word the stream of a watch is begun anew, at the next endpoint: a
    /// member that is cut off, or stopped, says nothing. The most that a watcher hears late.
    public var watchSilenceMillisecondsMax: Int64 = 5000
    /// For `https` endpoints: certificates to trust and to show. Nil: the system's, and none.
    public var security: EtcdSecurity?

    /// A configuration.
    public init(endpoints: [String], keyPrefix: String = "tally/") {
        self.endpoints = endpoints
        self.keyPrefix = keyPrefix
    }

    /// Whether this build can talk to etcd: it was built with the package trait `Etcd`.
    public static var isSupported: Bool {
        #if Etcd
            true
        #else
            false
        #endif
    }
}

/// Certificates for `https` endpoints, as files in PEM.
public struct EtcdSecurity: Hashable, Sendable {
    /// Certificates of those that sign for etcd's members; nil for the system's.
    public var trustRootsPath: String?
    /// The certificate to show, with those that sign for it, and its key; nil for none.
    public var certificatePath: String?
    /// The key of the certificate to show.
    public var privateKeyPath: String?

    /// Certificates.
    public init(
        trustRootsPath: String? = nil, certificatePath: String? = nil, privateKeyPath: String? = nil
    ) {
        self.trustRootsPath = trustRootsPath
        self.certificatePath = certificatePath
        self.privateKeyPath = privateKeyPath
    }
}
