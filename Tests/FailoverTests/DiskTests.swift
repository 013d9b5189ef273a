import Foundation
import TallyReplication
import TallyTestSupport
import TallyWire
import Testing

extension FailoverTests {
    @Suite("when disks are full", .needsRoot) struct DiskTests {
        private static let member: Int32 = 3

        /// Fills a file system to the last byte.
        private func fill(_ mount: TemporaryMount) throws {
            let path = mount.path + "/filling"
            _ = FileManager.default.createFile(atPath: path, contents: nil)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            for size in [1 << 20, 1 << 12, 1] {
                let block = Data(repeating: 1, count: size)
                while (try? file.write(contentsOf: block)) != nil {}
            }
            try file.close()
        }

        private func empty(_ mount: TemporaryMount) throws {
            try FileManager.default.removeItem(atPath: mount.path + "/filling")
        }

        private func run(_ body: (ProcessCluster, TemporaryMount) async throws -> Void) async throws
        {
            let mount = try TemporaryMount(mebibytes: 256)
            defer { mount.close() }
            var options = ProcessCluster.Options()
            options.data = [Self.member: mount.path + "/data"]
            try await ProcessCluster.with(options) { try await body($0, mount) }
        }

        @Test("a follower without a disk is waited for no more, and started anew it is in sync")
        func follower() async throws {
            try await run { cluster, mount in
                let traffic = try await Traffic.start(
                    in: cluster, replicas: [[1, 2, 3], [2, 1, 3], [1, 3, 2]])
                let member = cluster.member(Self.member)
                try fill(mount)
                try await cluster.wait(traffic.topic, "it is out of all in-sync sets") {
                    !$0.inSyncReplicas.contains(ReplicaID(member.id))
                }
                try await traffic.goesOn()
                try empty(mount)
                _ = try await member.end()
                try member.launch()
                try await member.waitUntilReady()
                try await cluster.waitUntilInSync(traffic.topic)
                try await traffic.goesOn()
                try await traffic.expectNothingLost()
            }
        }

        @Test("a leader whose disk is full says so, and others lead, who have room")
        func leader() async throws {
            try await run { cluster, mount in
                let traffic = try await Traffic.start(
                    in: cluster, partitions: 1, replicas: [[3, 1, 2]])
                let member = cluster.member(Self.member)
                try fill(mount)
                try await cluster.waitUntilLed(traffic.topic, byOthersThan: member.id)
                #expect(traffic.producer.refusals.contains { $0.code == .kafkaStorageError })
                try await traffic.goesOn()
                try empty(mount)
                _ = try await member.end()
                try member.launch()
                try await member.waitUntilReady()
                try await cluster.waitUntilInSync(traffic.topic)
                try await traffic.goesOn()
                try await traffic.expectNothingLost()
            }
        }
    }
}
