import TallyGroups
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Assignors")
struct AssignorTests {
    /// `topic-partition` for each, by member.
    static func assign(
        _ assignor: Assignor, _ counts: [String: Int], _ members: [Assignor.Member]
    ) -> [String: [String]] {
        assignor.assign(partitionCounts: counts, members: members)
            .mapValues { $0.map(\.description) }
    }

    static func member(
        _ id: String, _ topics: Set<String>, owns: [String: [Int32]] = [:], generation: Int32 = -1,
        instance: String? = nil
    ) -> Assignor.Member {
        Assignor.Member(
            memberID: id, instanceID: instance, topics: topics,
            ownedPartitions: owns.flatMap { TopicPartitions(topic: $0, partitions: $1).each },
            generation: generation)
    }

    @Test("range: 3 partitions for 2 members make 2 and 1, of each topic anew")
    func range() {
        // Kafka's rule: 3 / 2 = 1 for each, and the first 3 mod 2 = 1 members get one more. The
        // example of its documentation.
        let members = [Self.member("C1", ["t0", "t1"]), Self.member("C0", ["t0", "t1"])]
        #expect(
            Self.assign(.range, ["t0": 3, "t1": 3], members) == [
                "C0": ["t0-0", "t0-1", "t1-0", "t1-1"], "C1": ["t0-2", "t1-2"],
            ])
        let many = (0..<4).map { Self.member("C\($0)", $0 == 3 ? ["t1"] : ["t0"]) }
        #expect(
            Self.assign(.range, ["t0": 2, "t1": 1, "none": 5], many) == [
                "C0": ["t0-0"], "C1": ["t0-1"], "C2": [], "C3": ["t1-0"],
            ])
    }

    @Test("round robin: all partitions in turn; members that do not want a topic are passed over")
    func roundRobin() {
        let same = [Self.member("C0", ["t0", "t1"]), Self.member("C1", ["t0", "t1"])]
        #expect(
            Self.assign(.roundRobin, ["t0": 3, "t1": 3], same) == [
                "C0": ["t0-0", "t0-2", "t1-1"], "C1": ["t0-1", "t1-0", "t1-2"],
            ])
        let different = [
            Self.member("C0", ["t0"]), Self.member("C1", ["t0", "t1"]),
            Self.member("C2", ["t0", "t1", "t2"]),
        ]
        #expect(
            Self.assign(.roundRobin, ["t0": 1, "t1": 2, "t2": 3], different) == [
                "C0": ["t0-0"], "C1": ["t1-0"], "C2": ["t1-1", "t2-0", "t2-1", "t2-2"],
            ])
    }

    @Test("static members come first, by their instance ids")
    func order() {
        let members = [
            Self.member("a", ["t"]), Self.member("b", ["t"], instance: "z"),
            Self.member("c", ["t"], instance: "y"),
        ]
        #expect(
            Self.assign(.range, ["t": 4], members) == [
                "c": ["t-0", "t-1"], "b": ["t-2"], "a": ["t-3"],
            ])
    }

    @Test("sticky: who leaves gives its partitions to the others, and nothing else moves")
    func sticky() {
        let before = [
            Self.member("a", ["t"], owns: ["t": [0, 3, 6]], generation: 1),
            Self.member("c", ["t"], owns: ["t": [2, 5]], generation: 1),
        ]
        #expect(
            Self.assign(.sticky, ["t": 8], before) == [
                "a": ["t-0", "t-3", "t-4", "t-6"], "c": ["t-1", "t-2", "t-5", "t-7"],
            ])
    }

    @Test("of two that say to own a partition the newer does; at a tie neither")
    func claims() {
        let old = Self.member("a", ["t"], owns: ["t": [0, 1]], generation: 1)
        let new = Self.member("b", ["t"], owns: ["t": [0, 1]], generation: 2)
        let third = Self.member("c", ["t"], owns: ["t": [2, 3]], generation: 2)
        let shares = Self.assign(.sticky, ["t": 6], [old, new, third])
        #expect(shares["b"] == ["t-0", "t-1"] && shares["a"] == ["t-4", "t-5"])
        let tie = Self.member("a", ["t"], owns: ["t": [0]], generation: 2)
        let other = Self.member("b", ["t"], owns: ["t": [0]], generation: 2)
        #expect(
            Self.assign(.cooperativeSticky, ["t": 2], [tie, other]) == ["a": [], "b": ["t-1"]])
    }

    @Test("cooperative sticky: a new member gets what is free, and later what others gave up")
    func cooperative() {
        let owner = Self.member("a", ["t"], owns: ["t": [0, 1, 2, 3]], generation: 1)
        let first = Self.assign(.cooperativeSticky, ["t": 5], [owner, Self.member("b", ["t"])])
        #expect(first == ["a": ["t-0", "t-1", "t-2"], "b": ["t-4"]])
        let second = Self.assign(
            .cooperativeSticky, ["t": 5],
            [
                Self.member("a", ["t"], owns: ["t": [0, 1, 2]], generation: 2),
                Self.member("b", ["t"], owns: ["t": [4]], generation: 2),
            ])
        #expect(second == ["a": ["t-0", "t-1", "t-2"], "b": ["t-3", "t-4"]])
    }

    @Test("nobody, nothing, and claims that make no sense", arguments: Assignor.allCases)
    func edges(assignor: Assignor) {
        #expect(assignor.assign(partitionCounts: ["t": 3], members: []) == [:])
        let odd = Self.member("a", ["t", "none"], owns: ["t": [-1, 99, 0, 0], "x": [1]])
        #expect(Self.assign(assignor, ["t": -2], [odd]) == ["a": []])
        #expect(Self.assign(assignor, ["t": 1], [odd, Self.member("b", [])])["a"] == ["t-0"])
    }

    /// Random members, with a random past.
    static func random(
        _ generator: inout SeededGenerator, isEqual: Bool
    ) -> (counts: [String: Int], members: [Assignor.Member]) {
        var counts: [String: Int] = [:]
        for topic in 0..<Int.random(in: 1...5, using: &generator) {
            counts["t\(topic)"] = .random(in: 1...12, using: &generator)
        }
        let names = counts.keys.sorted()
        let members = (0..<Int.random(in: 1...9, using: &generator)).map { number in
            let topics =
                isEqual ? names : names.filter { _ in Bool.random(using: &generator) }
            return Self.member("m\(number)", Set(topics))
        }
        return (counts, members)
    }

    @Test("each wanted partition has one owner that wants it; equal members differ by one at most")
    func balanced() {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<500 {
            let isEqual = Bool.random(using: &generator)
            var (counts, members) = Self.random(&generator, isEqual: isEqual)
            for assignor in Assignor.allCases {
                let shares = assignor.assign(partitionCounts: counts, members: members)
                Self.check(shares, counts, members)
                if isEqual, assignor != .range {
                    let loads = shares.values.map(\.count)
                    #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= 1)
                }
                #expect(
                    shares
                        == assignor.assign(
                            partitionCounts: counts, members: members.shuffled(using: &generator)))
            }
            // A past, and then somebody goes or comes.
            let past = Assignor.sticky.assign(partitionCounts: counts, members: members)
            for index in members.indices {
                members[index].ownedPartitions = past[members[index].memberID] ?? []
                members[index].generation = 1
            }
            let unchanged = Assignor.sticky.assign(partitionCounts: counts, members: members)
            #expect(unchanged == past)
            if isEqual { Self.checkMoves(counts, members, past, &generator) }
        }
    }

    /// Of equal members, each keeps what it may: no more moves than the loads demand.
    static func checkMoves(
        _ counts: [String: Int], _ members: [Assignor.Member], _ past: [String: [TopicPartition]],
        _ generator: inout SeededGenerator
    ) {
        var members = members
        if Bool.random(using: &generator), members.count > 1 {
            members.removeLast()
        } else {
            members.append(Self.member("new", Set(counts.keys)))
        }
        let shares = Assignor.sticky.assign(partitionCounts: counts, members: members)
        let total = counts.values.reduce(0, +)
        let floor = total / members.count
        var extra = total % members.count
        var mayKeep = 0
        for owned in members.map({ past[$0.memberID]?.count ?? 0 }).sorted(by: >) {
            let limit = owned > floor && extra > 0 ? floor + 1 : floor
            if owned > floor { extra -= 1 }
            mayKeep += min(owned, limit)
        }
        let kept = members.reduce(0) { sum, member in
            let before = Set(past[member.memberID] ?? [])
            return sum + before.intersection(shares[member.memberID] ?? []).count
        }
        #expect(kept == mayKeep)
    }

    static func check(
        _ shares: [String: [TopicPartition]], _ counts: [String: Int],
        _ members: [Assignor.Member]
    ) {
        var seen: Set<TopicPartition> = []
        for member in members {
            for partition in shares[member.memberID] ?? [] {
                #expect(member.topics.contains(partition.topic))
                #expect(seen.insert(partition).inserted)
            }
        }
        let wanted = counts.filter { topic, _ in members.contains { $0.topics.contains(topic) } }
        #expect(seen.count == wanted.values.reduce(0, +))
    }
}
