import NIOCore
import TallyTestSupport
import Testing

@testable import TallyClient

@Suite("Answers made of bytes") struct FrameAssemblerTests {
    private func framed(_ frame: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: UInt32(frame.count).bigEndian, Array.init) + frame
    }

    @Test("answers are the same however their bytes are cut")
    func pieces() throws {
        var generator = SeededGenerator.fromEnvironment()
        let frames = (0..<50).map { number in
            [UInt8](repeating: UInt8(number), count: Int.random(in: 4...300, using: &generator))
        }
        let bytes = frames.flatMap(framed)
        for pieceMax in [1, 3, 5, 100, bytes.count] {
            var assembler = FrameAssembler(byteCountMax: 300)
            var found: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...pieceMax, using: &generator))
                rest = rest.dropFirst(piece.count)
                assembler.receive(ByteBuffer(bytes: piece))
                while let frame = try assembler.next() { found.append(frame) }
            }
            #expect(found == frames)
        }
    }

    @Test(
        "a length that is too large, too small or negative is refused before a byte of it comes",
        arguments: [
            (UInt32(301), FrameAssembler.Fault.tooLarge(byteCount: 301)),
            (UInt32(Int32.max), .tooLarge(byteCount: Int(Int32.max))),
            (3, .tooSmall(byteCount: 3)), (0, .tooSmall(byteCount: 0)),
            (UInt32.max, .tooSmall(byteCount: -1)),
        ])
    func lengths(length: UInt32, fault: FrameAssembler.Fault) {
        var assembler = FrameAssembler(byteCountMax: 300)
        assembler.receive(ByteBuffer(integer: length))
        #expect(throws: fault) { try assembler.next() }
    }
}
