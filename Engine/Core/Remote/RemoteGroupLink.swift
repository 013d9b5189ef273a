import Synchronization
import TallyGroups
import TallyRecords

/// Runs a member of a cluster's group: hands its requests on and the answers back, and wakes it up
/// when something is due.
///
/// Steps run one after the other, on a task of its own. Thread rule: any thread.
final class RemoteGroupLink: GroupLink {
    private let cluster: any RemoteCluster
    let groups: any RemoteGroups
    private let steps: AsyncStream<@Sendable () -> Void>.Continuation
    private let alarm = Alarm()
    private let member = Mutex<WeakMember>(WeakMember())

    private struct WeakMember {
        weak var membership: GroupMembership?
    }

    init(_ cluster: any RemoteCluster) {
        self.cluster = cluster
        groups = cluster.groups()
        let (stream, continuation) = AsyncStream<@Sendable () -> Void>.makeStream()
        steps = continuation
        Task { for await step in stream { step() } }
    }

    deinit {
        steps.finish()
        let groups = groups
        Task { await groups.close() }
    }

    func add(_ membership: GroupMembership) {
        member.withLock { $0.membership = membership }
    }

    func submit(_ step: @escaping @Sendable () -> Void) {
        steps.yield { [weak self] in
            step()
            self?.setAlarm()
        }
    }

    private func setAlarm() {
        guard let due = member.withLock({ $0.membership })?.nextDeadline else { return }
        let now = GroupService.now.instant
        let pause = max(due.milliseconds - now.milliseconds, 1)
        alarm.set(after: .milliseconds(min(pause, 86_400_000))) { [weak self] in
            self?.submit { [weak self] in
                let membership = self?.member.withLock { $0.membership }
                membership?.advance(to: GroupService.now.instant)
            }
        }
    }

    // MARK: Requests

    func join(_ request: JoinRequest, answer: @escaping Answer<JoinAnswer>) {
        ask(answer) { (groups) throws(GroupError) in try await groups.join(request) }
    }

    func sync(_ request: SyncRequest, answer: @escaping Answer<SyncAnswer>) {
        ask(answer) { (groups) throws(GroupError) in try await groups.sync(request) }
    }

    func heartbeat(group: String, _ caller: GroupCaller, answer: @escaping Answer<Void>) {
        ask(answer) { (groups) throws(GroupError) in
            try await groups.heartbeat(group: group, caller)
        }
    }

    func leave(
        _ group: String, _ member: LeavingMember, done: @escaping @Sendable () -> Void
    ) {
        // Held until the group knows.
        Task { [self] in
            await groups.leave(group, member)
            submit(done)
        }
    }

    /// How many partitions topics have; those that are not there are missing.
    func countPartitions(
        of topics: Set<String>, answer: @escaping @Sendable ([String: Int]) -> Void
    ) {
        Task { [cluster] in
            var counts: [String: Int] = [:]
            for topic in topics {
                counts[topic] = try? await cluster.describeTopic(topic).partitionCount
            }
            answer(counts)
        }
    }

    private func ask<Success: Sendable>(
        _ answer: @escaping Answer<Success>,
        _ body: @escaping @Sendable (any RemoteGroups) async throws(GroupError) -> Success
    ) {
        Task { [weak self, groups] in
            let result: Result<Success, GroupError>
            do throws(GroupError) {
                result = .success(try await body(groups))
            } catch {
                result = .failure(error)
            }
            self?.submit { answer(result) }
        }
    }
}
