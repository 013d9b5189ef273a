import Glibc

/// The clock that all processes of a machine share: it starts with the machine, is never set, and
/// runs on while the machine sleeps (`CLOCK_BOOTTIME`).
///
/// Moments of it may be compared between processes as long as the machine is not started anew and
/// the processes are in the same time namespace.
public enum MachineClock {
    /// The milliseconds since the machine was started. Never lower than in a call before.
    public static var milliseconds: Int64 {
        var time = timespec()
        let status = unsafe clock_gettime(Platform.machineClock, &time)
        invariant(status == 0, "the system has no CLOCK_BOOTTIME: errno \(errno)")
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
