import NIOCore
import NIOPosix
import Testing

@testable import TallyServer

@Suite("The connections there are", .timeLimit(.minutes(10)))
struct ConnectionRegisterTests {
    @Test("they are counted for each address, until they close, and none is taken after a stop")
    func counting() async throws {
        try await ServedEngine.with { served in
            func channel() async throws -> any Channel {
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(host: served.address.host, port: served.address.port).get()
            }
            let register = ConnectionRegister(countMax: 3, countPerAddressMax: 2)
            var channels: [any Channel] = []
            for _ in 0..<4 { channels.append(try await channel()) }
            #expect(register.add(channels[0], from: "a"))
            #expect(register.add(channels[1], from: "a"))
            #expect(!register.add(channels[2], from: "a"))
            #expect(register.add(channels[2], from: "b"))
            #expect(!register.add(channels[3], from: "c"))
            #expect(register.count == 3)
            try await channels[0].close()
            while register.count > 2 { try await Task.sleep(for: .milliseconds(2)) }
            #expect(register.stop().count == 2)
            #expect(!register.add(channels[3], from: "a"), "one that came while it stopped")
            for channel in channels.dropFirst() { try await channel.close() }
        }
    }
}
