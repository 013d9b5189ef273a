import Foundation
import TallyFiles
import TallyReplication

/// The clock by which leases in `cluster.db` end: that of the machine, with a name, so that a
/// process can tell whether a moment in the file is one of its own clock.
struct ClusterClock: Sendable {
    /// Which start of which machine it belongs to, and which time namespace.
    let name: String
    /// What time it is; read inside of transactions, so that it rises from one to the next.
    let now: @Sendable () -> CoordinationInstant

    /// The clock of this machine. Error: `unavailable`, where the system does not say which start
    /// of the machine this is.
    static func ofMachine() throws(CoordinationError) -> ClusterClock {
        let path = "/proc/sys/kernel/random/boot_id"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw .unavailable(
                reason: "\(path) cannot be read, by which a new start of the machine is noticed")
        }
        // Absent on kernels that have no time namespaces.
        let namespace = try? FileManager.default.destinationOfSymbolicLink(
            atPath: "/proc/self/ns/time")
        return ClusterClock(
            name: text.trimmingCharacters(in: .whitespacesAndNewlines) + " "
                + (namespace ?? "time:[]"),
            now: { CoordinationInstant(milliseconds: MachineClock.milliseconds) })
    }
}
