import TallyWire

/// The types of messages, without their names.
enum EveryMessage {
    /// The request of an API, or its response.
    static func type(_ api: APIKey, isRequest: Bool) -> (any WireMessage.Type)? {
        guard let request: any WireRequest.Type = WireMessages.request(api) else { return nil }
        return isRequest ? request : response(to: request)
    }

    private static func response<Request: WireRequest>(
        to type: Request.Type
    ) -> any WireMessage.Type {
        Request.Response.self
    }

    /// Each type with each of its versions.
    static let versions: [(type: any WireMessage.Type, version: Int16)] =
        WireMessages.requests.flatMap { request in
            [request, response(to: request)].flatMap { type in
                type.versions.map { (type, $0) }
            }
        }
}
