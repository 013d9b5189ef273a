import TallyRecords

/// One computation of the sticky assignors.
///
/// 1. Each member keeps what it owns and still wants. Where two say to own a partition, the one
///    with the higher generation does; at a tie, neither.
/// 2. What nobody owns goes to those that have least; partitions that few members want come first.
/// 3. While a member has at least two partitions more than another that wants one of them, that
///    one moves: from those that have most to those that have least.
///
/// Where all want the same topics, loads differ by at most one in the end, and as few partitions
/// move as can: 2 and 3 together fill up from the bottom and take from the top only. With different
/// topics, no single move would improve the balance; Kafka's assignor gives no more either.
struct StickyAssignment {
    private let members: [Assignor.Member]
    /// The topics, and for each which members want it.
    private let topics: [String]
    private let isWanted: [[Bool]]
    /// Who says to own each partition, but for those whose claim counts.
    private var otherClaims: [TopicPartition: [Int]] = [:]
    /// Whose claim to a partition counts.
    private var owners: [TopicPartition: Int] = [:]
    /// What each member gets; what it owned comes first.
    private var shares: [[Place]]

    /// A partition, by the place of its topic.
    private struct Place {
        var topic: Int
        var partition: Int32
    }

    /// `members` are ordered; `counts` are above 0.
    init(_ counts: [String: Int], _ members: [Assignor.Member]) {
        self.members = members
        topics = counts.keys.sorted()
        isWanted = topics.map { topic in members.map { $0.topics.contains(topic) } }
        shares = [[Place]](repeating: [], count: members.count)
        findOwners()
        keepAndFill(counts)
        balance()
    }

    private mutating func findOwners() {
        var claims: [TopicPartition: [Int]] = [:]
        for (member, said) in members.enumerated() {
            for partition in Set(said.ownedPartitions) {
                claims[partition, default: []].append(member)
            }
        }
        for (partition, claimants) in claims {
            let newest = claimants.map { members[$0].generation }.max()
            let last = claimants.filter { members[$0].generation == newest }
            let owner = last.count == 1 ? last.first : nil
            owners[partition] = owner
            otherClaims[partition] = claimants.filter { $0 != owner }
        }
    }

    private mutating func keepAndFill(_ counts: [String: Int]) {
        var free: [Place] = []
        for (topic, name) in topics.enumerated() where isWanted[topic].contains(true) {
            for partition in 0..<Int32(clamping: counts[name] ?? 0) {
                let place = Place(topic: topic, partition: partition)
                let owner = owners[TopicPartition(topic: name, partition: partition)]
                if let owner, isWanted[topic][owner] {
                    shares[owner].append(place)
                } else {
                    free.append(place)
                }
            }
        }
        let wanting = isWanted.map { $0.count(where: { $0 }) }
        free.sort {
            (wanting[$0.topic], $0.topic, $0.partition)
                < (wanting[$1.topic], $1.topic, $1.partition)
        }
        for place in free {
            let wants = isWanted[place.topic]
            var least: Int?
            for member in members.indices where wants[member] {
                if let best = least, shares[best].count <= shares[member].count { continue }
                least = member
            }
            if let least { shares[least].append(place) }
        }
    }

    private mutating func balance() {
        // Members from which nothing can be taken; they are looked at again when others changed.
        var isStuck = [Bool](repeating: false, count: members.count)
        var hasMoved = false
        while true {
            var most: Int?
            for member in members.indices where !isStuck[member] {
                if let best = most, shares[best].count >= shares[member].count { continue }
                most = member
            }
            guard let from = most else {
                guard hasMoved else { return }
                hasMoved = false
                for member in members.indices { isStuck[member] = false }
                continue
            }
            if let (index, to) = bestMove(from: from) {
                shares[to].append(shares[from].remove(at: index))
                hasMoved = true
            } else {
                isStuck[from] = true
            }
        }
    }

    /// The partition that is best taken from a member, the last it got, and who has least of those
    /// that want it.
    private func bestMove(from: Int) -> (index: Int, to: Int)? {
        let limit = shares[from].count - 2
        var found: (index: Int, to: Int)?
        var seen = Set<Int>()
        for (index, place) in shares[from].enumerated().reversed()
        where seen.insert(place.topic).inserted {
            let wants = isWanted[place.topic]
            for to in members.indices where wants[to] && shares[to].count <= limit {
                if let best = found, shares[best.to].count <= shares[to].count { continue }
                found = (index, to)
            }
        }
        return found
    }

    /// The result, in the order of the members. In a cooperative one, what another member may
    /// still read is left out: that one sees that it has lost it, gives it up and joins again, and
    /// the next round gives it away (KIP-429).
    func shares(isCooperative: Bool) -> [[TopicPartition]] {
        members.indices.map { member in
            shares[member].compactMap { place in
                let partition = TopicPartition(
                    topic: topics[place.topic], partition: place.partition)
                guard isCooperative, owners[partition] != member else { return partition }
                let isHeld =
                    owners[partition] != nil
                    || otherClaims[partition].map { $0 != [member] && !$0.isEmpty } ?? false
                return isHeld ? nil : partition
            }
        }
    }
}
