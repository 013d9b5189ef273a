/// The identity of a topic: 16 bytes, written as Kafka does, in 22 characters of URL-safe base64.
///
/// A topic that is deleted and created again under the same name has another identity.
public struct TopicID: Hashable, Sendable, CustomStringConvertible {
    /// The upper and lower halves of the 128 bits.
    package private(set) var high: UInt64
    package private(set) var low: UInt64

    /// An identity from 128 bits.
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A random identity (a version 4 UUID) whose text does not begin with a dash, as Kafka's.
    public static func random() -> TopicID {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    package static func random(using generator: inout some RandomNumberGenerator) -> TopicID {
        while true {
            let id = TopicID(
                high: generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000,
                low: generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 1 << 63)
            if !id.description.hasPrefix("-") { return id }
        }
    }

    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The 22 characters.
    public var description: String {
        // 128 bits and 4 zero bits make 22 characters of 6 bits.
        var text: [UInt8] = []
        for index in 0..<22 {
            let shift = 128 - 6 * (index + 1)
            let bits = shift >= 0 ? shifted(right: shift) : low << 4
            text.append(Self.alphabet[Int(bits & 63)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func shifted(right shift: Int) -> UInt64 {
        if shift >= 64 { return high >> UInt64(shift - 64) }
        return shift == 0 ? low : low >> UInt64(shift) | high << UInt64(64 - shift)
    }

    /// Reads the text form; nil unless it is 22 characters of the alphabet.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == 22 else { return nil }
        high = 0
        low = 0
        for (index, character) in text.utf8.enumerated() {
            guard let value = Self.alphabet.firstIndex(of: character) else { return nil }
            let bits = index < 21 ? 6 : 2
            let digit = index < 21 ? UInt64(value) : UInt64(value) >> 4
            high = high << UInt64(bits) | low >> UInt64(64 - bits)
            low = low << UInt64(bits) | digit
        }
    }
}
