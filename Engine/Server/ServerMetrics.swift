import Metrics

/// What a server tells through swift-metrics.
enum ServerMetrics {
    /// Connections that are open.
    static let connections = Gauge(label: "tally_server_connections")
    /// Bytes that went out.
    static let bytesOut = Counter(label: "tally_server_bytes_out_total")
    /// Bytes of requests that came in.
    static let bytesIn = Counter(label: "tally_server_bytes_in_total")
    /// Connections that were ended for what they sent.
    static let faults = Counter(label: "tally_server_invalid_requests_total")
    /// Connections that were refused: there were too many.
    static let refusals = Counter(label: "tally_server_refused_connections_total")
    /// Requests that the authorizer refused.
    static let denials = Counter(label: "tally_server_failed_authentications_total")

    /// What is told of one kind of request (dimension `request`).
    struct PerRequest: Sendable {
        let count: Counter
        let errors: Counter
        let bytes: Recorder
        let time: Timer

        init(_ name: String) {
            let dimensions = [("request", name)]
            count = Counter(label: "tally_server_requests_total", dimensions: dimensions)
            errors = Counter(label: "tally_server_request_errors_total", dimensions: dimensions)
            bytes = Recorder(label: "tally_server_request_bytes", dimensions: dimensions)
            time = Timer(label: "tally_server_request_seconds", dimensions: dimensions)
        }
    }
}
