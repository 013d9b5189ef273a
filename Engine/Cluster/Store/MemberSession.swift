import Logging
import Synchronization
import TallyFiles
package import TallyReplication

/// A member's registration in the coordination store, and how long it may count on it.
///
/// The lease is renewed in the background. Where that fails for too long the member stops serving,
/// by its own clock and before the store ends the lease, and registers anew when it can. It serves
/// again when it has done what the store said until then: others may lead by now what it led.
/// Thread rule: any thread.
package final class MemberSession: Sendable {
    /// Drawn at each start of the process; all bits set are -1 in the protocol, which is nobody.
    package let incarnation = UInt64.random(in: .min ..< .max)
    private let store: any CoordinationStore
    private let configuration: ClusterConfiguration
    /// Until when it may be counted on, in milliseconds of the machine's clock; 0 for not at all.
    private let validUntil = Atomic<Int64>(0)
    /// The revision in which it was registered last, and up to which it has done what was said.
    private let registered = Atomic<Int64>(.max)
    private let heeded = Atomic<Int64>(.min)
    private let state = Mutex(State())

    private struct State {
        var term: LeaseTerm?
        var isEnded = false
    }

    package init(_ store: any CoordinationStore, _ configuration: ClusterConfiguration) {
        self.store = store
        self.configuration = configuration
    }

    /// The process, as one of a member.
    package func process(of member: ReplicaID) -> MemberProcess {
        MemberProcess(member, incarnation: incarnation)
    }

    /// Whether the member may acknowledge and answer at this moment.
    package var isServing: Bool {
        isRegistered
            && heeded.load(ordering: .acquiring) >= registered.load(ordering: .acquiring)
    }

    private var isRegistered: Bool {
        MachineClock.milliseconds < validUntil.load(ordering: .acquiring)
    }

    /// The lease that it is registered with; nil while it is not.
    package var lease: LeaseID? { isRegistered ? state.withLock { $0.term?.lease.id } : nil }

    /// What the store has said up to a revision is done: who leads, and who does not.
    package func noteHeeded(_ revision: CoordinationRevision) {
        heeded.store(revision.rawValue, ordering: .releasing)
    }

    /// Registers and renews until the task is cancelled.
    ///
    /// - Parameters:
    ///   - mayRegister: asked until it says so: the store may count on what the member has lost.
    ///   - told: called each time the member is registered.
    package func run(
        as member: ClusterMember, when mayRegister: @escaping @Sendable () -> Bool = { true },
        told: @escaping @Sendable () -> Void
    ) async {
        while !Task.isCancelled, !state.withLock({ $0.isEnded }) {
            do {
                while !mayRegister() { try await Task.sleep(for: .milliseconds(20)) }
                try await register(member)
                configuration.logger.info("Registered as member \(member.id).")
                told()
                try await renew()
            } catch is CancellationError {
                return
            } catch {
                configuration.logger.warning("Member \(member.id) is not registered: \(error)")
            }
            guard (try? await Task.sleep(for: .milliseconds(100))) != nil else { return }
        }
    }

    private var now: CoordinationInstant {
        CoordinationInstant(milliseconds: MachineClock.milliseconds)
    }

    private func register(_ member: ClusterMember) async throws {
        let asked = now
        var term = LeaseTerm(
            try await store.grantLease(seconds: configuration.leaseSeconds), asked: asked)
        let transaction = try CoordinationTransaction(
            conditions: [.absent(key: ClusterKeys.member(member.id))],
            operations: [
                .put(
                    key: ClusterKeys.member(member.id), value: member.encoded(),
                    lease: term.lease.id)
            ])
        do {
            // The lease of the process before has to end first.
            var isTold = false
            while true {
                if case .success(let revision) = try await store.commit(transaction) {
                    registered.store(revision.rawValue, ordering: .releasing)
                    break
                }
                if !isTold {
                    configuration.logger.info(
                        """
                        Member \(member.id) is registered already; waits for the end of its lease. \
                        If that does not come, another process has the same node.id.
                        """)
                    isTold = true
                }
                try await Task.sleep(for: .milliseconds(200))
                let asked = now
                term.renew(try await store.keepAlive(term.lease.id), asked: asked)
            }
        } catch {
            // Or the member would stand in its own way.
            try? await store.revoke(term.lease.id)
            throw error
        }
        publish(term)
    }

    private func publish(_ term: LeaseTerm) {
        state.withLock { state in
            guard !state.isEnded else { return }
            state.term = term
            validUntil.store(term.end.milliseconds, ordering: .releasing)
        }
    }

    private func renew() async throws {
        while var term = state.withLock({ $0.isEnded ? nil : $0.term }) {
            try await Task.sleep(for: .milliseconds(term.renewalIntervalMilliseconds))
            let asked = now
            do {
                term.renew(try await store.keepAlive(term.lease.id), asked: asked)
                publish(term)
            } catch {
                if case .leaseNotFound = error {} else if isRegistered { continue }
                validUntil.store(0, ordering: .releasing)
                throw error
            }
        }
    }

    /// Serves no more from now on; the lease goes with ``giveBack()``, or by itself.
    package func end() {
        state.withLock { $0.isEnded = true }
        validUntil.store(0, ordering: .releasing)
    }

    /// Ends the lease at once, so that others need not wait for its end.
    package func giveBack() async {
        end()
        guard let lease = state.withLock({ $0.term?.lease.id }) else { return }
        do {
            try await store.revoke(lease)
        } catch {
            configuration.logger.warning("The lease ends by itself: \(error)")
        }
    }
}
