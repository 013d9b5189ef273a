import TallyGroups
import TallyRecords
import TallyTestSupport

/// A member in a `GroupWorld`.
final class SimulatedMember {
    var machine: GroupMember
    let configuration: GroupMemberConfiguration
    var isAlive = true
    /// No message from or to it gets through until then.
    var cutOffUntil = GroupInstant(milliseconds: 0)
    /// Its application asks for nothing until then.
    var stuckUntil = GroupInstant(milliseconds: 0)
    /// Requests arrive in order.
    var lastArrival = GroupInstant(milliseconds: 0)
    /// All that it was told to do.
    var log: [GroupMemberAction] = []

    init(_ configuration: GroupMemberConfiguration) {
        self.configuration = configuration
        machine = GroupMember(configuration: configuration)
    }

    var name: String { "\(configuration.clientID)(\(machine.memberID))" }
    /// A static member that restarts is the same.
    var identity: String { configuration.instanceID ?? configuration.clientID }

    func isCutOff(at now: GroupInstant) -> Bool { now < cutOffUntil }
    func isStuck(at now: GroupInstant) -> Bool { now < stuckUntil }
}

/// Lets a coordinator be held by a class that is handed around.
final class CoordinatorBox {
    var machine: GroupCoordinator
    /// What was answered and not looked at.
    var effects: [GroupEffect] = []

    init(
        _ configuration: GroupConfiguration, _ store: any OffsetStore,
        _ memberIDs: MemberIDs = MemberIDs(), at now: GroupTime
    ) throws {
        machine = try GroupCoordinator(configuration: configuration, store: store, at: now) {
            "\($0)-\(memberIDs.next())"
        }
    }

    var nextDeadline: GroupInstant? { machine.nextDeadline }
    func advance(to now: GroupTime) { machine.advance(to: now) }
    func takeEffects() -> [GroupEffect] { machine.takeEffects() }
    func verify() -> String? { machine.verify() }
    func describe(_ group: String) -> GroupDescription? { try? machine.describe(group) }
    func generation(of group: String) -> Int32? { describe(group)?.generation }

    func join(_ request: JoinRequest, token: GroupToken, at now: GroupTime) {
        machine.join(request, token: token, at: now)
    }

    func sync(_ request: SyncRequest, token: GroupToken, at now: GroupTime) {
        machine.sync(request, token: token, at: now)
    }

    func heartbeat(group: String, caller: GroupCaller, at now: GroupTime) -> GroupError? {
        do throws(GroupError) {
            try machine.heartbeat(group: group, caller: caller, at: now)
            return nil
        } catch {
            return error
        }
    }

    func leave(group: String, _ member: LeavingMember, at now: GroupTime) {
        _ = machine.leave(group: group, members: [member], at: now)
    }

    /// Whether all of it was accepted.
    func commit(_ request: OffsetCommitRequest, at now: GroupTime) -> Bool {
        (try? machine.commit(request, at: now))?.isEmpty ?? false
    }
}
