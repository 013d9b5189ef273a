/// Who is at the other end of a connection.
///
/// Everybody is ``anonymous`` for now: authentication will say more.
public struct Principal: Hashable, Sendable {
    /// The name, `User:` and who it is, as Kafka writes it.
    public var name: String

    /// A principal of a name.
    public init(name: String) { self.name = name }

    /// Somebody who was not asked who they are.
    public static let anonymous = Principal(name: "User:ANONYMOUS")
}

/// Says who may do what: asked once for each request, before anything is done for it.
///
/// Thread rule: any thread, many at a time; it is waited for, and must not block.
public protocol Authorizer: Sendable {
    /// Whether a principal may send a request.
    ///
    /// - Parameter api: Kafka's number of the request: 0 for Produce, 1 for Fetch.
    func allows(_ principal: Principal, api: Int16) -> Bool
}

/// Everybody may do everything.
public struct AllowEverything: Authorizer {
    /// Nobody is refused.
    public init() {}

    /// True.
    public func allows(_ principal: Principal, api: Int16) -> Bool { true }
}
