import TallyReplication

/// Sends a client's requests to the member that it takes for the right one, one after the other,
/// as a connection would: a request that the client has given up is not carried out later.
final class Caller {
    private unowned let world: World
    private var attempt = 0
    private var guess = ReplicaID(0)

    init(in world: World) { self.world = world }

    /// Asks a member for something; `hear` is told nil where no answer has come in time, unless
    /// another request was made meanwhile.
    ///
    /// - Parameter body: runs at the member, with what takes the answer.
    func call<Answer>(
        within milliseconds: Int64 = 400,
        _ body: @escaping (SimulatedMember, @escaping (Answer) -> Void) -> Void,
        hear: @escaping (Answer?) -> Void
    ) {
        attempt += 1
        let current = attempt
        let receiver = world.member(guess)
        var isCarriedOut = false
        world.network.send(.client, receiver.place, in: world) { [self] in
            receiver.run { [self] in
                guard attempt == current, !isCarriedOut else { return }
                isCarriedOut = true
                body(receiver) { [self] answer in
                    world.network.send(receiver.place, .client, in: world) { [self] in
                        end(current) { hear(answer) }
                    }
                }
            }
        }
        world.schedule(after: milliseconds) { [self] in end(current) { hear(nil) } }
    }

    private func end(_ current: Int, _ action: () -> Void) {
        guard attempt == current else { return }
        attempt += 1
        action()
    }

    /// Takes another member for the right one.
    func guessAnew() {
        guess = world.members[Int.random(in: 0..<world.members.count, using: &world.random)].id
    }
}
