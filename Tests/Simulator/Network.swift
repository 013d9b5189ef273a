import TallyReplication

/// Who is at the end of a line.
enum Place: Hashable {
    case member(ReplicaID)
    case client
    case store
}

/// What goes from place to place: late, out of order, twice, or not at all.
final class Network {
    private struct Line: Hashable {
        var from: Place
        var to: Place
    }

    private var cuts: Set<Line> = []
    /// The part of all messages that is lost.
    var loss = 0.0
    /// How much later than usual a message may come, in milliseconds.
    var delayMax: Int64 = 5
    /// The part of all messages that comes when nobody thinks of them any more.
    private var straggling = 0.002

    func cut(_ from: Place, _ to: Place) { cuts.insert(Line(from: from, to: to)) }
    func mend(_ from: Place, _ to: Place) { cuts.remove(Line(from: from, to: to)) }
    func isCut(_ from: Place, _ to: Place) -> Bool { cuts.contains(Line(from: from, to: to)) }

    func heal() {
        cuts = []
        loss = 0
        delayMax = 5
        straggling = 0
    }

    func send(_ from: Place, _ to: Place, in world: World, _ arrive: @escaping () -> Void) {
        if isCut(from, to) || world.chance(loss) { return }
        let isTwice = world.chance(0.01)
        for _ in 0...(isTwice ? 1 : 0) {
            world.schedule(after: delay(in: world), arrive)
        }
    }

    func delay(in world: World) -> Int64 {
        var most = delayMax
        if world.chance(0.01) { most *= 40 }
        if world.chance(straggling) { most = max(most, 4000) }
        return 1 + Int64.random(in: 0...most, using: &world.random)
    }
}
