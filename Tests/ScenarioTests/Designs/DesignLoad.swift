import Foundation
import Tally
import TallyTestSupport

/// One record of a synthetic load, before it has a key.
struct DesignEvent: Sendable {
    /// Its place in the order of sending, from 0.
    let number: Int
    /// The coarse thing that it is about, a few of which are busy: a country, a city, a customer.
    let group: String
    /// The fine thing, which has few records: a payment, a driver, an order.
    let item: String
    /// The item as a number.
    let itemNumber: Int
    /// When it happened, within the last day.
    let time: Timestamp
}

/// A skewed load: items come and go, each has a few records, and the records of items that are
/// under way at the same time are mixed. A value.
struct DesignLoad: Sendable {
    /// How the items spread over the groups.
    enum Popularity: Sendable {
        /// The n-th group has a share in proportion to 1 / n to this power (Zipf's law).
        case zipf(Double)
        /// The first group has this share, and the others the rest in equal parts.
        case hot(share: Double)
    }

    var groupCount: Int
    var popularity: Popularity
    var eventCount = 12_000
    var eventsPerItem = 3
    /// Items under way at a time.
    var openCount = 60

    /// The events, in the order of sending; the same for the same generator. They fill a day.
    func events(using generator: inout SeededGenerator) -> [DesignEvent] {
        let shares = cumulativeShares
        let start = Timestamp.now.rawValue - 86_400_000
        var open: [(item: Int, group: Int, left: Int)] = []
        var itemCount = 0
        return (0..<eventCount).map { number in
            while open.count < openCount {
                let draw = Double.random(in: 0..<1, using: &generator)
                let group = shares.firstIndex { draw < $0 } ?? groupCount - 1
                open.append((itemCount, group, eventsPerItem))
                itemCount += 1
            }
            let chosen = Int.random(in: 0..<open.count, using: &generator)
            let (item, group, left) = open[chosen]
            if left > 1 {
                open[chosen].left -= 1
            } else {
                open.remove(at: chosen)
            }
            let age = Int64(number) * 86_000_000 / Int64(eventCount)
            return DesignEvent(
                number: number, group: groupName(group), item: "item-\(item)", itemNumber: item,
                time: Timestamp(milliseconds: start + age))
        }
    }

    /// The name of a group; that of 0 has most of the load.
    func groupName(_ rank: Int) -> String { "group-\(rank)" }

    private var cumulativeShares: [Double] {
        let weights = (0..<groupCount).map { rank in
            switch popularity {
            case .zipf(let exponent): pow(Double(rank + 1), -exponent)
            case .hot(let share):
                rank == 0 ? share : (1 - share) / Double(groupCount - 1)
            }
        }
        let sum = weights.reduce(0, +)
        var total = 0.0
        return weights.map { weight in
            total += weight / sum
            return total
        }
    }
}
