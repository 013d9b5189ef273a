#if Etcd
    import AsyncHTTPClient
    import Foundation
    import Glibc
    import NIOCore
    import NIOHTTP1
    import NIOPosix
    import NIOSSL
    import Synchronization
    import TallyReplication

    /// Requests to the members of an etcd, one after the other until one answers.
    ///
    /// Thread rule: any task.
    final class EtcdTransport: Sendable {
        let configuration: EtcdConfiguration
        private let calls: HTTPClient
        private let streams: HTTPClient
        private let state = Mutex(State())

        private struct State {
            /// The endpoint that answered last is asked first.
            var preferred = 0
            var isClosed = false
        }

        /// An answer is read up to here.
        private static let answerBytesMax = 128 * 1024 * 1024

        /// Errors: `unavailable`, for endpoints or certificates that cannot be.
        init(_ configuration: EtcdConfiguration) throws(CoordinationError) {
            guard !configuration.endpoints.isEmpty else {
                throw .unavailable(reason: "there is no endpoint of etcd in the configuration")
            }
            for endpoint in configuration.endpoints {
                guard let url = URL(string: endpoint), url.host?.isEmpty == false,
                    url.scheme == "http" || url.scheme == "https"
                else {
                    throw .unavailable(
                        reason: "'\(endpoint)' is no endpoint such as http://127.0.0.1:2379")
                }
            }
            self.configuration = configuration
            var settings = HTTPClient.Configuration()
            settings.httpVersion = .http1Only
            settings.redirectConfiguration = .disallow
            settings.timeout.connect = .milliseconds(configuration.connectMillisecondsMax)
            // The next endpoint is tried instead.
            settings.connectionPool.retryConnectionEstablishment = false
            // A watch holds a connection for as long as it lasts.
            settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1024
            settings.tlsConfiguration = try Self.tls(configuration.security)
            calls = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
            settings.timeout.read = .milliseconds(configuration.watchSilenceMillisecondsMax)
            streams = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        }

        deinit { shutdown {} }

        var isClosed: Bool { state.withLock { $0.isClosed } }

        /// Ends all requests; later ones fail.
        func close() async {
            await withCheckedContinuation { continuation in shutdown { continuation.resume() } }
        }

        private func shutdown(_ done: @escaping @Sendable () -> Void) {
            let isFirst = state.withLock { state in
                defer { state.isClosed = true }
                return !state.isClosed
            }
            guard isFirst else { return done() }
            // They keep themselves until they are done.
            let (calls, streams) = (calls, streams)
            calls.shutdown { _ in streams.shutdown { _ in done() } }
        }

        private static func tls(
            _ security: EtcdSecurity?
        ) throws(CoordinationError) -> TLSConfiguration {
            var tls = TLSConfiguration.makeClientConfiguration()
            guard let security else { return tls }
            do {
                if let path = security.trustRootsPath { tls.trustRoots = .file(path) }
                if let path = security.certificatePath {
                    tls.certificateChain = try NIOSSLCertificate.fromPEMFile(path)
                        .map { .certificate($0) }
                }
                if let path = security.privateKeyPath {
                    tls.privateKey = .privateKey(try NIOSSLPrivateKey(file: path, format: .pem))
                }
                return tls
            } catch {
                throw .unavailable(reason: "the certificates for etcd cannot be read: \(error)")
            }
        }

        // MARK: Calls

        /// What kind of call it is: whether it may be sent again.
        enum Kind {
            /// It changes nothing, or the same however often: every endpoint is asked.
            case repeatable
            /// Once it was sent nobody else is asked.
            case once
        }

        /// The answer to a request, from the first endpoint that gives one.
        ///
        /// Errors: `unavailable`, where nothing was sent, or the call is `repeatable` and reads;
        /// `outcomeUnknown`; `EtcdRefusal`, where etcd said no.
        func call<Request: Encodable, Response: Decodable>(
            _ path: String, _ request: Request, kind: Kind, as type: Response.Type
        ) async throws -> Response {
            let body = try JSONEncoder().encode(request)
            let endpoints = configuration.endpoints
            let first = state.withLock { $0.preferred }
            let deadline =
                ContinuousClock.now
                + .milliseconds(configuration.callMillisecondsMax)
            var wasSent = false
            var reasons: [String] = []
            for step in 0..<endpoints.count {
                let index = (first + step) % endpoints.count
                var milliseconds = Int64((deadline - .now) / .milliseconds(1))
                // Those behind it are to have a part of the time too.
                if kind == .repeatable { milliseconds /= Int64(endpoints.count - step) }
                guard milliseconds > 0 else { break }
                let outcome = await attempt(endpoints[index] + path, body, milliseconds)
                switch outcome {
                case .answer(let status, let data):
                    state.withLock { $0.preferred = index }
                    if status == 200 {
                        return try decode(Response.self, data, from: endpoints[index])
                    }
                    let refusal = EtcdRefusal(status, data)
                    guard refusal.isTransient else { throw refusal }
                    wasSent = true
                    reasons.append("\(endpoints[index]): \(refusal.failure.text)")
                case .nothingSent(let reason):
                    reasons.append("\(endpoints[index]): \(reason)")
                case .noAnswer(let reason):
                    wasSent = true
                    reasons.append("\(endpoints[index]): \(reason)")
                }
                state.withLock { $0.preferred = (index + 1) % endpoints.count }
                if wasSent, kind == .once { break }
                if Task.isCancelled { break }
            }
            let reason = reasons.joined(separator: "; ")
            throw wasSent
                ? CoordinationError.outcomeUnknown(reason: reason)
                : CoordinationError.unavailable(reason: reason)
        }

        private func decode<Response: Decodable>(
            _ type: Response.Type, _ data: Data, from endpoint: String
        ) throws(CoordinationError) -> Response {
            do {
                return try JSONDecoder().decode(type, from: data)
            } catch {
                throw .corrupt(reason: "\(endpoint) does not answer as etcd does: \(error)")
            }
        }

        private enum Outcome: Sendable {
            case answer(UInt, Data)
            case nothingSent(String)
            case noAnswer(String)
        }

        /// One request to one endpoint, within so many milliseconds.
        private func attempt(_ url: String, _ body: Data, _ milliseconds: Int64) async -> Outcome {
            if isClosed { return .nothingSent("it was closed") }
            let request = Self.request(url, body)
            return await withTaskGroup(of: Outcome.self) { group in
                group.addTask { [calls] in
                    do {
                        let response = try await calls.execute(
                            request, timeout: .milliseconds(milliseconds))
                        let bytes = try await response.body.collect(upTo: Self.answerBytesMax)
                        return .answer(response.status.code, Data(bytes.readableBytesView))
                    } catch {
                        return Self.wasSent(error)
                            ? .noAnswer("\(error)") : .nothingSent("\(error)")
                    }
                }
                group.addTask {
                    try? await Task.sleep(for: .milliseconds(milliseconds))
                    return .noAnswer("no answer within \(milliseconds) ms")
                }
                let outcome = await group.next() ?? .noAnswer("no answer")
                group.cancelAll()
                return outcome
            }
        }

        private static func request(_ url: String, _ body: Data) -> HTTPClientRequest {
            var request = HTTPClientRequest(url: url)
            request.method = .POST
            request.headers.add(name: "Content-Type", value: "application/json")
            // A member that knows of no leader says so, and is not waited for.
            request.headers.add(name: "Grpc-Metadata-hasleader", value: "true")
            request.body = .bytes(body)
            return request
        }

        /// Whether a request that ended with this error may have reached etcd.
        private static func wasSent(_ error: any Error) -> Bool {
            switch error {
            case is NIOConnectionError: false
            // Comes of connecting alone.
            case let error as IOError: error.errnoCode != ECONNREFUSED
            case let error as HTTPClientError:
                ![
                    .connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout,
                    .alreadyShutdown,
                ].contains(error)
            case NIOSSLError.handshakeFailed: false
            default: true
            }
        }

        // MARK: Streams

        /// Opens a stream at an endpoint, counted from the preferred one, and gives its lines, each
        /// a message. Throws where it breaks, and where it is silent for too long.
        func stream(
            _ path: String, _ request: some Encodable, attempt: Int,
            _ body: (Data) async throws -> Void
        ) async throws {
            let endpoints = configuration.endpoints
            let index = (state.withLock { $0.preferred } + attempt) % endpoints.count
            let response = try await streams.execute(
                Self.request(endpoints[index] + path, JSONEncoder().encode(request)),
                timeout: .milliseconds(
                    min(
                        configuration.callMillisecondsMax, configuration.watchSilenceMillisecondsMax
                    )))
            guard response.status == .ok else {
                let bytes = try await response.body.collect(upTo: 65_536)
                throw EtcdRefusal(response.status.code, Data(bytes.readableBytesView))
            }
            var line = Data()
            for try await part in response.body {
                for byte in part.readableBytesView.split(
                    separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false
                ).enumerated() {
                    if byte.offset > 0, !line.isEmpty {
                        try await body(line)
                        line.removeAll(keepingCapacity: true)
                    }
                    line.append(contentsOf: byte.element)
                    guard line.count <= Self.answerBytesMax else {
                        throw CoordinationError.corrupt(
                            reason: "\(endpoints[index]) sends a message without an end")
                    }
                }
            }
        }
    }

    /// etcd has understood, and does not do it.
    struct EtcdRefusal: Error {
        let failure: EtcdFailure
        let status: UInt

        init(_ status: UInt, _ data: Data) {
            self.status = status
            failure =
                (try? JSONDecoder().decode(EtcdFailure.self, from: data))
                ?? EtcdFailure(message: "HTTP status \(status)")
        }

        /// gRPC's code.
        var code: Int { failure.code ?? failure.grpcCode ?? 2 }

        /// There is no such lease, or key.
        var isNotFound: Bool { code == 5 }

        /// Another member may do it, or this one later: and this one may be doing it, or have done
        /// it (canceled, unknown, deadline exceeded, resource exhausted, aborted, internal,
        /// unavailable). Of those that are too much for its space etcd carries one out before it
        /// says so.
        var isTransient: Bool { [1, 2, 4, 8, 10, 13, 14].contains(code) }

        /// The revision that was asked for is gone.
        var isCompacted: Bool { code == 11 }
    }
#endif
