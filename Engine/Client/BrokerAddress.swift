/// Where a broker can be reached.
package struct BrokerAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address.
    package var host: String
    /// The port.
    package var port: Int

    /// An address from its parts.
    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Host and port with a colon between them.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
