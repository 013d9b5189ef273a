import Metrics
import TallyGroups
import TallyLog
import TallyRecords

/// What a member of a cluster's group reads and commits with. A value.
struct RemoteMember: Sendable {
    let link: RemoteGroupLink
    let readers: RemoteReaders

    var groups: any RemoteGroups { link.groups }

    init(
        _ cluster: any RemoteCluster, group: String, _ configuration: GroupConsumerConfiguration
    ) {
        let link = RemoteGroupLink(cluster)
        let reading = configuration.reading
        self.link = link
        readers = RemoteReaders(cluster, reading) { [groups = link.groups] partitions in
            try await Self.starts(of: partitions, group, groups, cluster, reading)
        }
    }

    /// What the group has committed. Throws ``EngineError/group(_:)``.
    func committedOffsets(
        ofGroup group: String, _ partitions: Set<TopicPartition>
    ) async throws(EngineError) -> [TopicPartition: CommittedOffset] {
        do throws(GroupError) {
            return try await groups.committedOffsets(ofGroup: group, partitions)
        } catch {
            throw .group(error)
        }
    }

    /// Where to begin: where the group stands, if the partition holds that still.
    private static func starts(
        of partitions: Set<TopicPartition>, _ group: String, _ groups: any RemoteGroups,
        _ cluster: any RemoteCluster, _ reading: ConsumerConfiguration
    ) async throws -> [TopicPartition: Offset] {
        let committed: [TopicPartition: CommittedOffset]
        do throws(GroupError) {
            committed = try await groups.committedOffsets(ofGroup: group, partitions)
        } catch {
            throw EngineError.group(error)
        }
        func bounds(_ place: StartingPosition) async throws -> [TopicPartition: Offset] {
            try await cluster.offsets(of: partitions, at: place, isolation: .readUncommitted)
                .mapValues(\.offset)
        }
        let (logStarts, logEnds) = (try await bounds(.earliest), try await bounds(.latest))
        var starts: [TopicPartition: Offset] = [:]
        for id in partitions {
            let (start, end) = (logStarts[id] ?? .zero, logEnds[id] ?? .zero)
            let known = committed[id]?.offset
            if let known, known >= start, known <= end {
                starts[id] = known
                continue
            }
            let target = reading.reset.target(of: known, logStart: start, logEnd: end)
            guard let target else {
                throw EngineError.offsetUnavailable(
                    UnavailableOffset(
                        partition: "\(id)", group: group, committed: known, logStart: start,
                        logEnd: end))
            }
            starts[id] =
                try await RemoteReaders.offsets(
                    of: [id], at: target, in: cluster)[id] ?? end
        }
        return starts
    }
}

extension GroupConsumer {
    /// Records of the next partition that has some, waited for; nil once the consumer was closed.
    func fetchNext(_ remote: RemoteMember) async throws -> ConsumedRecords? {
        while true {
            let seen = remote.readers.arrival.count
            guard try await attend() else { return nil }
            do {
                try await remote.readers.settle()
            } catch EngineError.group(.unstableOffsetCommit) {
                // Moments, but for a transaction whose producer has died.
                membership.setWaiting(true)
                defer { membership.setWaiting(false) }
                try await Task.sleep(for: .milliseconds(50))
                continue
            } catch LogError.offsetOutOfRange(let range) {
                throw EngineError.offsetUnavailable(
                    UnavailableOffset(
                        partition: range.partition, group: group, committed: range.requested,
                        logStart: range.logStart, logEnd: range.logEnd))
            }
            switch try remote.readers.take() {
            case .records(let records): return records
            case .ended, .nothing:
                membership.setWaiting(true)
                defer { membership.setWaiting(false) }
                try await remote.readers.arrival.wait(after: seen)
            }
        }
    }

    /// Commits offsets at a cluster; what was refused, with the reasons.
    func commitNow(
        _ offsets: [TopicPartition: OffsetToCommit], on remote: RemoteMember
    ) async throws -> [TopicPartition: GroupError] {
        do throws(GroupError) {
            let refused = try await asMember(offsets) { (request) throws(GroupError) in
                try await remote.groups.commit(request)
            }
            if refused.count < offsets.count { commitCounter.increment() }
            return refused
        } catch {
            throw EngineError.group(error)
        }
    }
}
