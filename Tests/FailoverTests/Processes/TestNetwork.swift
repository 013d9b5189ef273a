import Foundation
import TallyTestSupport
import Testing

/// A network of its own for some members, each in a namespace of its own with one link to a
/// bridge; the test stands at the bridge. Only root may make one. A process that outlives the
/// test's takes all of it away again, whatever becomes of the test.
///
/// Thread rule: one task at a time, which is the test's.
final class TestNetwork: @unchecked Sendable {
    private let name: String
    private let net: String
    private let keeper: Process
    private let input = Pipe()

    init(count: Int32) throws {
        name = "tly\(Int.random(in: 1000...9999))"
        net = "10.\(Int.random(in: 64...250)).\(Int.random(in: 1...250))"
        keeper = Process()
        let output = Pipe()
        keeper.executableURL = URL(fileURLWithPath: "/bin/sh")
        keeper.arguments = ["-c", Self.script, "sh", name, net, "\(count)"]
        keeper.standardInput = input
        keeper.standardOutput = output
        try keeper.run()
        let told = output.fileHandleForReading.availableData
        guard told.starts(with: Data("made".utf8)) else { throw CocoaError(.fileWriteUnknown) }
    }

    deinit { close() }

    private static let script = """
        make() {
            ip link add "$1" type bridge && ip addr add "$2.254/24" dev "$1" &&
                ip link set "$1" up || return 1
            for i in $(seq "$3"); do
                ip netns add "$1-$i" && ip link add "$1v$i" type veth peer name eth0 \\
                    netns "$1-$i" && ip link set "$1v$i" master "$1" up &&
                    ip -n "$1-$i" addr add "$2.$i/24" dev eth0 &&
                    ip -n "$1-$i" link set lo up && ip -n "$1-$i" link set eth0 up || return 1
            done
        }
        make "$@" >&2 && echo made
        read -r line
        # Links first: a namespace lives on for as long as somebody holds a socket in it.
        for i in $(seq "$3"); do ip link del "$1v$i"; ip netns del "$1-$i"; done
        ip link del "$1"
        """

    func close() {
        guard keeper.isRunning else { return }
        try? input.fileHandleForWriting.close()
        keeper.waitUntilExit()
    }

    /// The test's own address in it.
    var host: String { "\(net).254" }

    func host(of member: Int32) -> String { "\(net).\(member)" }

    /// What makes a program a part of it.
    func wrapper(of member: Int32) -> [String] {
        ["/bin/sh", "-c", "exec ip netns exec \(name)-\(member) \"$@\"", "sh"]
    }

    /// Takes a member's link down, or up again: nothing goes either way.
    func setLink(of member: Int32, isUp: Bool) throws {
        try run("ip link set \(name)v\(member) \(isUp ? "up" : "down")")
    }

    /// Lets nothing of what a member sends to another one arrive; what the other sends does.
    func cut(from sender: Int32, to receiver: Int32) throws {
        try cut(from: sender, to: host(of: receiver))
    }

    /// The same, to the test and whatever runs beside it.
    func cut(from sender: Int32, to address: String) throws {
        // To a machine that there is none of.
        try run(
            "ip -n \(name)-\(sender) neigh replace \(address) lladdr 02:00:00:00:00:99 "
                + "dev eth0 nud permanent")
    }

    /// Mends all that ``cut(from:to:)`` did at a sender.
    func mend(from sender: Int32) throws {
        try run("ip -n \(name)-\(sender) neigh flush all nud permanent")
    }

    private func run(_ command: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", command]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(command)")
    }

    /// Whether one can be made here; said aloud where not, since tests are skipped then. With
    /// `TALLY_REQUIRE_ROOT`, which continuous integration sets, they are not: they fail.
    static let isPossible: Bool = {
        if (try? TestNetwork(count: 1)) != nil { return true }
        if ProcessInfo.processInfo.environment["TALLY_REQUIRE_ROOT"] != nil { return true }
        let text = "tests with networks of their own are SKIPPED: they need root, and iproute2\n"
        FileHandle.standardError.write(Data(text.utf8))
        return false
    }()
}

extension Trait where Self == ConditionTrait {
    /// Skips a test, saying so, where no network can be made.
    static var needsNetwork: Self { .enabled(if: TestNetwork.isPossible, "needs a network") }
}
