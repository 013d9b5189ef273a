import Foundation
import Testing

@testable import TallyImport

@Suite("Byte input")
struct ByteInputTests {
    static let table = Array(String(repeating: "alpha,beta\n", count: 2000).utf8)

    /// A frame of `content` in one stored (uncompressed) block, by hand: without checksums.
    static func storedFrame(_ content: [UInt8]) -> [UInt8] {
        // Magic; version 1, independent blocks; 64 KiB blocks; the header's checksum.
        var frame: [UInt8] = [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82]
        let size = UInt32(content.count) | 0x8000_0000
        frame += withUnsafeBytes(of: size.littleEndian) { Array($0) }
        return frame + content + [0, 0, 0, 0]
    }

    static func read(_ bytes: [UInt8], name: String = "input", bufferBytes: Int = 1000) throws
        -> [UInt8]
    {
        let path = NSTemporaryDirectory() + "tally-\(UUID().uuidString)-\(name)"
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let input = try ByteInput(path: path)
        #expect(input.fileBytes == Int64(bytes.count))
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: bufferBytes)
        // An odd start: what lies before it is the reader's.
        while case let count = try input.read(into: &buffer, from: 3), count > 0 {
            content += buffer[3..<(3 + count)]
        }
        #expect(input.fileBytesRead == Int64(bytes.count))
        return content
    }

    @Test("a plain file is read as it is", arguments: [0, 1, 3, 4, 5, 22_000, 300_000])
    func plain(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try Self.read(bytes) == bytes)
    }

    @Test("LZ4 frames are told by their bytes, whatever the name, one or several")
    func frames() throws {
        let one = Self.storedFrame(Array("one".utf8))
        let two = Self.storedFrame(Array("two".utf8))
        let skippable: [UInt8] = [0x51, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 9, 9]
        #expect(try Self.read(one) == Array("one".utf8))
        #expect(try Self.read(one + two, name: "a.lz4") == Array("onetwo".utf8))
        #expect(try Self.read(skippable + one + skippable + two) == Array("onetwo".utf8))
        #expect(try Self.read(one, bufferBytes: 4) == Array("one".utf8))
    }

    @Test("wherever an LZ4 file is cut off, that is an error and never a shorter table")
    func truncated() throws {
        let frame = Self.storedFrame(Self.table)
        #expect(try Self.read(frame) == Self.table)
        for count in Array(4..<40) + Array((frame.count - 40)..<frame.count) {
            let error = #expect(throws: ByteInputError.self) {
                try Self.read(Array(frame[..<count]))
            }
            guard case .truncatedFrame = error else {
                Issue.record("cut at \(count): \(String(describing: error))")
                continue
            }
            #expect(error?.description.contains("truncated") == true)
        }
    }

    @Test("damage is an error: by the content checksum, by what follows a frame")
    func damaged() throws {
        var bytes = try [UInt8](
            Data(
                contentsOf: URL(
                    fileURLWithPath:
                        fixturePath("online-retail-final-quantity.csv.lz4"))))
        let whole = try Self.read(bytes)
        #expect(whole.count > 100_000)
        // The last four bytes are the checksum of the content.
        bytes[bytes.count - 1] ^= 1
        let checksum = #expect(throws: ByteInputError.self) { try Self.read(bytes) }
        guard case .damagedFrame(_, let problem)? = checksum else {
            Issue.record("\(String(describing: checksum))")
            return
        }
        #expect(problem.contains("contentChecksum"))

        let followed = Self.storedFrame([1]) + Array("garbage that follows".utf8)
        let garbage = #expect(throws: ByteInputError.self) { try Self.read(followed) }
        guard case .damagedFrame? = garbage else {
            Issue.record("\(String(describing: garbage))")
            return
        }
    }

    @Test("a file named .lz4 with another content is an error that says so")
    func misnamed() throws {
        for (bytes, isLegacy) in [
            (Array("a,b\n".utf8), false), ([], false), ([0x02, 0x21, 0x4C, 0x18, 0, 0], true),
        ] {
            let error = #expect(throws: ByteInputError.self) {
                try Self.read(bytes, name: "a.csv.lz4")
            }
            guard case .notAFrame(_, isLegacy)? = error else {
                Issue.record("\(bytes): \(String(describing: error))")
                continue
            }
        }
    }

    @Test("a file that is not there, and a directory, are errors that name them")
    func cannotRead() throws {
        let missing = #expect(throws: ByteInputError.self) { try ByteInput(path: "/no/such") }
        #expect(missing?.description == "cannot open /no/such: No such file or directory")
        let directory = try ByteInput(path: "/")
        var buffer = [UInt8](repeating: 0, count: 10)
        let error = #expect(throws: ByteInputError.self) {
            try directory.read(into: &buffer, from: 0)
        }
        #expect(error?.description == "cannot read /: Is a directory")
    }

    @Test("a pipe has no size and is read to its end")
    func pipe() throws {
        let pipe = Pipe()
        let input = ByteInput(
            descriptor: pipe.fileHandleForReading.fileDescriptor, name: "pipe",
            closesDescriptor: false)
        #expect(input.fileBytes == nil)
        try pipe.fileHandleForWriting.write(contentsOf: Self.storedFrame(Self.table))
        try pipe.fileHandleForWriting.close()
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = try input.read(into: &buffer, from: 0), count > 0 {
            content += buffer[..<count]
        }
        #expect(content == Self.table)
    }
}
