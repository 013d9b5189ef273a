/// Why a server could not begin.
public enum ServerError: Error, Hashable, Sendable {
    /// A setting makes no sense.
    case invalidSetting(name: String, reason: String)
    /// The address is one that other machines reach, and nobody has said that they may.
    case remoteAddress(host: String)
    /// The system does not let it listen there.
    case cannotListen(host: String, port: Int, reason: String)
    /// ``TallyServer/start()`` was called before, or the server was shut down.
    case alreadyStarted
}

extension ServerError: CustomStringConvertible {
    /// What is wrong and what to do about it.
    public var description: String {
        switch self {
        case .invalidSetting(let name, let reason): "\(name): \(reason)."
        case .remoteAddress(let host):
            """
            \(host) can be reached from other machines, and there is no authentication yet: \
            whoever reaches it can do everything. Listen on 127.0.0.1, or allow it explicitly.
            """
        case .cannotListen(let host, let port, let reason):
            "Cannot listen on \(host):\(port): \(reason). Choose another port, or stop who has it."
        case .alreadyStarted: "The server was started before; make another one."
        }
    }
}
