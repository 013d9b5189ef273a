import TallyReplication

/// Makes faults, one after the other, and ends each after a while.
final class Nemesis {
    private(set) var faultCount = 0

    private enum Fault: CaseIterable {
        case crash, crashAll, pause, isolate, cutOneWay, cutFromStore, storeOutage, loss, lateness
        case slowDisk, fullDisk, failingSync, lostDisk
    }

    func start(in world: World) { next(in: world) }

    private func next(in world: World) {
        world.schedule(after: Int64.random(in: 50...1500, using: &world.random)) { [self] in
            guard !world.isHealed else { return }
            strike(in: world)
            next(in: world)
        }
    }

    private func strike(in world: World) {
        guard let fault = Fault.allCases.randomElement(using: &world.random),
            let victim = world.members.randomElement(using: &world.random)
        else { return }
        faultCount += 1
        world.trace("fault: \(fault) \(victim.id)")
        let end = begin(fault, on: victim, in: world)
        world.schedule(after: Int64.random(in: 20...4000, using: &world.random)) {
            if !world.isHealed { end() }
        }
    }

    /// Returns what ends it.
    private func begin(
        _ fault: Fault, on victim: SimulatedMember, in world: World
    ) -> () -> Void {
        let network = world.network
        switch fault {
        case .crash:
            victim.crash()
            return { victim.start() }
        case .crashAll:
            for member in world.members { member.crash() }
            return { for member in world.members { member.start() } }
        case .pause:
            victim.pause()
            return { victim.goOn() }
        case .isolate:
            return cut(around: victim, isFromStore: world.chance(0.5), in: world)
        case .cutOneWay:
            guard let other = world.members.randomElement(using: &world.random) else { return {} }
            network.cut(victim.place, other.place)
            return { network.mend(victim.place, other.place) }
        case .cutFromStore:
            let (from, to): (Place, Place) =
                world.chance(0.5) ? (victim.place, .store) : (.store, victim.place)
            network.cut(from, to)
            return { network.mend(from, to) }
        case .storeOutage:
            for member in world.members { network.cut(member.place, .store) }
            return { for member in world.members { network.mend(member.place, .store) } }
        case .loss:
            network.loss = Double.random(in: 0...0.4, using: &world.random)
            return { network.loss = 0 }
        case .lateness:
            network.delayMax = Int64.random(in: 5...200, using: &world.random)
            return { network.delayMax = 5 }
        case .slowDisk:
            victim.syncMilliseconds = Int64.random(in: 2...500, using: &world.random)
            return { victim.mendDisk() }
        case .fullDisk:
            for replica in victim.replicas { replica.log.setFull(true) }
            return { victim.mendDisk() }
        case .lostDisk:
            victim.crash()
            return {
                if world.lostDisks.lose(diskOf: victim, in: world) {
                    world.trace("the disk of \(victim.id) is lost")
                }
                victim.start()
            }
        case .failingSync:
            for replica in victim.replicas { replica.log.failNextSync() }
            return { victim.mendDisk() }
        }
    }

    private func cut(
        around victim: SimulatedMember, isFromStore: Bool, in world: World
    ) -> () -> Void {
        let network = world.network
        var others = world.members.filter { $0 !== victim }.map(\.place)
        if isFromStore { others.append(.store) }
        for other in others {
            network.cut(victim.place, other)
            network.cut(other, victim.place)
        }
        return {
            for other in others {
                network.mend(victim.place, other)
                network.mend(other, victim.place)
            }
        }
    }

    /// Ends all faults.
    func heal(_ world: World) {
        world.network.heal()
        for member in world.members {
            member.mendDisk()
            member.goOn()
            member.start()
        }
    }
}
