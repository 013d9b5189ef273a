#if Etcd
    import Foundation

    // Messages of etcd's JSON gateway, by the names of its protocol (rpc.proto and kv.proto of etcd
    // 3.4 to 3.6): numbers of 64 bits are texts, bytes are base64, and what is zero or empty may be
    // left out.

    /// A number of 64 bits: a text in JSON.
    struct EtcdNumber: Codable, Hashable {
        var value: Int64

        init(_ value: Int64) { self.value = value }

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int64.self) {
                value = number
                return
            }
            let text = try container.decode(String.self)
            // Ids of clusters and members use all 64 bits.
            guard let number = Int64(text) ?? UInt64(text).map(Int64.init(bitPattern:)) else {
                throw DecodingError.dataCorruptedError(
                    in: container, debugDescription: "'\(text.prefix(40))' is no number")
            }
            value = number
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(String(value))
        }
    }

    struct EtcdHeader: Decodable {
        var revision: EtcdNumber?
    }

    struct EtcdKeyValue: Decodable {
        var key: Data
        var value: Data?
        var modRevision: EtcdNumber?
        var lease: EtcdNumber?

        private enum CodingKeys: String, CodingKey {
            case key, value, lease
            case modRevision = "mod_revision"
        }
    }

    /// What etcd says instead of an answer; the code is gRPC's.
    struct EtcdFailure: Decodable {
        var error: String?
        var message: String?
        var code: Int?
        /// In streams.
        var grpcCode: Int?

        private enum CodingKeys: String, CodingKey {
            case error, message, code
            case grpcCode = "grpc_code"
        }

        var text: String { message ?? error ?? "no reason given" }
    }

    /// One message of a stream.
    struct EtcdStreamed<Message: Decodable>: Decodable {
        var result: Message?
        var error: EtcdFailure?
    }

    enum Etcd {
        struct RangeRequest: Encodable {
            var key: Data
            var rangeEnd: Data
            var limit: EtcdNumber
            var revision: EtcdNumber

            private enum CodingKeys: String, CodingKey {
                case key, limit, revision
                case rangeEnd = "range_end"
            }
        }

        struct RangeResponse: Decodable {
            var header: EtcdHeader
            var kvs: [EtcdKeyValue]?
            var more: Bool?
        }

        struct Compare: Encodable {
            var key: Data
            var target: String
            var result: String
            var modRevision: EtcdNumber?
            var createRevision: EtcdNumber?

            private enum CodingKeys: String, CodingKey {
                case key, target, result
                case modRevision = "mod_revision"
                case createRevision = "create_revision"
            }
        }

        struct Put: Encodable {
            var key: Data
            var value: Data
            var lease: EtcdNumber
        }

        struct Delete: Encodable {
            var key: Data
        }

        struct Operation: Encodable {
            var put: Put?
            var delete: Delete?

            private enum CodingKeys: String, CodingKey {
                case put = "request_put"
                case delete = "request_delete_range"
            }
        }

        struct TransactionRequest: Encodable {
            var compare: [Compare]
            var success: [Operation]
        }

        struct TransactionResponse: Decodable {
            var header: EtcdHeader
            var succeeded: Bool?
        }

        struct LeaseRequest: Encodable {
            var id: EtcdNumber
            /// Of a new lease.
            var seconds: EtcdNumber?

            private enum CodingKeys: String, CodingKey {
                case id = "ID"
                case seconds = "TTL"
            }
        }

        struct LeaseResponse: Decodable {
            var id: EtcdNumber?
            var seconds: EtcdNumber?
            var error: String?

            private enum CodingKeys: String, CodingKey {
                case error
                case id = "ID"
                case seconds = "TTL"
            }
        }

        struct WatchRequest: Encodable {
            struct Create: Encodable {
                var key: Data
                var rangeEnd: Data
                var startRevision: EtcdNumber
                var progressNotify = true

                private enum CodingKeys: String, CodingKey {
                    case key
                    case rangeEnd = "range_end"
                    case startRevision = "start_revision"
                    case progressNotify = "progress_notify"
                }
            }
            var create: Create

            private enum CodingKeys: String, CodingKey { case create = "create_request" }
        }

        struct WatchResponse: Decodable {
            struct Event: Decodable {
                /// `DELETE`, or left out.
                var type: String?
                var kv: EtcdKeyValue
            }
            var header: EtcdHeader?
            var created: Bool?
            var canceled: Bool?
            var compactRevision: EtcdNumber?
            var cancelReason: String?
            var events: [Event]?

            private enum CodingKeys: String, CodingKey {
                case header, created, canceled, events
                case compactRevision = "compact_revision"
                case cancelReason = "cancel_reason"
            }
        }

        struct Empty: Decodable {}
    }
#endif
