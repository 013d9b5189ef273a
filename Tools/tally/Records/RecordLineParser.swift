import ArgumentParser
import Foundation
import Tally

/// How keys and values stand in text.
enum TextEncoding: String, ExpressibleByArgument, CaseIterable, Sendable {
    case utf8, base64

    /// The bytes of a text; nil where it is no base64.
    func decode(_ text: String) -> [UInt8]? {
        switch self {
        case .utf8: Array(text.utf8)
        case .base64: Data(base64Encoded: text).map { Array($0) }
        }
    }
}

/// Reads the lines that `tally produce` takes.
struct RecordLineParser: Sendable {
    var topic: String
    var isJSON: Bool
    var encoding: TextEncoding

    /// What is wrong with a line.
    struct LineError: Error, CustomStringConvertible {
        var number: Int
        var reason: String
        var description: String { "Line \(number): \(reason)." }
    }

    /// What a JSON line holds. A name that nobody knows is a slip of the pen, and a record without
    /// its value would be the result.
    private struct Object: Decodable {
        var key: String?
        var value: String?
        var hasValue: Bool
        var headers: [[String?]]?
        var partition: Int32?
        var timestamp: Int64?

        /// The names that mean something, and what belongs there.
        static let fields = [
            "key": "a string or null", "value": "a string or null",
            "headers": "a list of [\"name\", \"value\" or null]",
            "partition": "a whole number", "timestamp": "a whole number of milliseconds",
        ]
        /// What `tally consume --json` and `tally inspect --json` print besides.
        static let ignoredFields: Set = ["topic", "offset", "timestampType"]

        struct Name: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        enum FieldError: Error {
            case unknown(String)
            case wrongForm(String)
        }

        init(from decoder: any Decoder) throws {
            let object = try decoder.container(keyedBy: Name.self)
            for name in object.allKeys.map(\.stringValue).sorted()
            where Self.fields[name] == nil && !Self.ignoredFields.contains(name) {
                throw FieldError.unknown(name)
            }
            func field<Value: Decodable>(_ name: String) throws -> Value? {
                do {
                    return try object.decodeIfPresent(Value.self, forKey: Name(stringValue: name))
                } catch {
                    throw FieldError.wrongForm(name)
                }
            }
            (key, value) = (try field("key"), try field("value"))
            hasValue = object.contains(Name(stringValue: "value"))
            headers = try field("headers")
            (partition, timestamp) = (try field("partition"), try field("timestamp"))
        }
    }

    /// The record of a line.
    func parse(_ bytes: [UInt8], number: Int) throws -> ProducerRecord {
        guard let line = String(validating: bytes, as: UTF8.self) else {
            throw LineError(
                number: number,
                reason: "it is not UTF-8; bytes that are no text need --encoding base64")
        }
        return isJSON ? try parseObject(line, number) : try parseText(line, number)
    }

    private func parseText(_ line: String, _ number: Int) throws -> ProducerRecord {
        guard let tab = line.firstIndex(of: "\t") else {
            return ProducerRecord(topic: topic, key: nil, value: try bytes(line, "value", number))
        }
        return ProducerRecord(
            topic: topic, key: try bytes(String(line[..<tab]), "key", number),
            value: try bytes(String(line[line.index(after: tab)...]), "value", number))
    }

    private func parseObject(_ line: String, _ number: Int) throws -> ProducerRecord {
        let object = try decode(line, number)
        if let timestamp = object.timestamp, timestamp < 0 {
            throw LineError(number: number, reason: "a timestamp is not negative")
        }
        let headers = try (object.headers ?? []).map { try header($0, number) }
        guard object.hasValue else {
            throw LineError(
                number: number,
                reason: "it has no \"value\"; a record without one has \"value\": null")
        }
        return ProducerRecord(
            topic: topic, partition: object.partition,
            key: try object.key.map { try bytes($0, "key", number) },
            value: try object.value.map { try bytes($0, "value", number) },
            timestamp: object.timestamp.map { Timestamp(milliseconds: $0) }, headers: headers)
    }

    private func decode(_ line: String, _ number: Int) throws -> Object {
        do {
            return try JSONDecoder().decode(Object.self, from: Data(line.utf8))
        } catch Object.FieldError.unknown(let name) {
            let known = Object.fields.keys.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            throw LineError(
                number: number,
                reason: "there is no field \"\(name)\"; the fields are \(known)")
        } catch Object.FieldError.wrongForm(let name) {
            let form = Object.fields[name] ?? "of the right form"
            throw LineError(number: number, reason: "\"\(name)\" is not \(form)")
        } catch {
            throw LineError(
                number: number,
                reason: "it is no JSON object such as {\"key\": \"k\", \"value\": \"v\"}")
        }
    }

    private func header(_ pair: [String?], _ number: Int) throws -> RecordHeader {
        guard pair.count == 2, let name = pair[0] else {
            throw LineError(number: number, reason: "a header is [\"name\", \"value\" or null]")
        }
        return RecordHeader(name: name, value: try pair[1].map { try bytes($0, "header", number) })
    }

    private func bytes(_ text: String, _ what: String, _ number: Int) throws -> [UInt8] {
        guard let bytes = encoding.decode(text) else {
            throw LineError(number: number, reason: "the \(what) is not valid base64")
        }
        return bytes
    }
}
