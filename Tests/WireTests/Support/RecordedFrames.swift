import Foundation
import TallyTestSupport
import TallyWire

/// A frame that went between a Kafka broker and a client, from `fixtures/kafka-wire`.
struct RecordedFrame: Sendable, CustomStringConvertible {
    let api: APIKey
    let version: Int16
    let isRequest: Bool
    let connection: Int
    let correlationID: Int32
    let client: String
    let bytes: [UInt8]

    var description: String {
        "\(isRequest ? "request" : "response") \(api.rawValue) version \(version), connection "
            + "\(connection), correlation id \(correlationID)"
    }

    /// All of them, in the order of the recording.
    static let all: [RecordedFrame] = {
        struct Line: Decodable {
            var connection: Int
            var client: String
            var kind: String
            var apiKey: Int16
            var apiVersion: Int16
            var correlationId: Int32
            var hex: String
        }
        guard let bytes = try? Fixtures.bytes("kafka-wire/frames.jsonl") else { return [] }
        return bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            guard let line = try? JSONDecoder().decode(Line.self, from: Data(line)) else {
                return nil
            }
            return RecordedFrame(
                api: APIKey(rawValue: line.apiKey), version: line.apiVersion,
                isRequest: line.kind == "request", connection: line.connection,
                correlationID: line.correlationId, client: line.client,
                bytes: Hex.bytes(line.hex))
        }
    }()

    /// The first of each version of each message.
    static let oneOfEach: [RecordedFrame] = {
        struct Kind: Hashable {
            let api: APIKey
            let version: Int16
            let isRequest: Bool
        }
        var seen: Set<Kind> = []
        return all.filter {
            seen.insert(Kind(api: $0.api, version: $0.version, isRequest: $0.isRequest)).inserted
        }
    }()

    /// Reads the frame and writes it again.
    func writtenAgain() throws -> [UInt8] { try writtenAgain(from: bytes) }

    /// Reads other bytes as if they were this frame, and writes what was read.
    func writtenAgain(from bytes: [UInt8]) throws -> [UInt8] {
        if isRequest {
            let request = try WireMessages.decodeRequest(bytes)
            return try request.body.frame(request.header, trailingBytes: request.trailingBytes)
        }
        let (header, body) = try WireMessages.decodeResponse(bytes, api: api, version: version)
        return try body.frame(header, version: version)
    }
}

/// Bytes and the digits that people write them with.
enum Hex {
    /// The bytes of digits; spaces and line ends are for the reader only.
    static func bytes(_ text: some StringProtocol) -> [UInt8] {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }

    /// The digits of bytes.
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
