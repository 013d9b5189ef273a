import Testing

/// Clusters of real processes, of which some are killed, paused, cut off, or left without a disk,
/// while a producer with acks=all and a reader are at work.
///
/// One after the other: each has three servers that hold leases of two seconds.
@Suite("A cluster of processes", .serialized, .timeLimit(.minutes(3)))
struct FailoverTests {}
