import Glibc
import Tally

/// What an engine with thousands of partitions takes, measured in a process of its own.
extension CrashChild {
    private static let topic = "t"

    /// Makes a topic with one record in each partition, and closes in order.
    static func fillTopic(in directory: String, partitions: Int) async throws {
        let engine = try await Engine.open(at: directory, configuration: scaleConfiguration)
        try await engine.createTopic(topic, partitions: partitions)
        let producer = try engine.producer()
        for number in 0..<partitions {
            try enqueue(number, partition: number, to: producer)
        }
        try await producer.flush()
        try await engine.close()
    }

    /// Opens the directory under a limit of 1,024 descriptors, and says what that took and what a
    /// second of doing nothing takes. Then appends to some partitions, one record each, and dies
    /// as a crash would have it; without any to append to, closes in order.
    static func measureOpening(of directory: String, appends: Int) async throws {
        try limitDescriptors(to: 1024)
        let used = processorMilliseconds()
        let before = ContinuousClock.now
        let engine = try await Engine.open(at: directory, configuration: scaleConfiguration)
        say("open-milliseconds \((ContinuousClock.now - before) / .milliseconds(1))")
        say("open-processor-milliseconds \(processorMilliseconds() - used)")
        say("resident-kilobytes \(status("VmRSS:"))")
        say("resident-peak-kilobytes \(status("VmHWM:"))")
        say("descriptors \((0..<Int32(1024)).count { fcntl($0, F_GETFD) >= 0 })")
        let reports = engine.recoveryReports.values
        say("partitions \(reports.count)")
        say("clean \(reports.count { $0.wasClean })")
        say("scanned-bytes \(reports.reduce(0) { $0 + $1.scannedByteCount })")
        let idle = processorMilliseconds()
        sleep(2)
        say("idle-milliseconds-per-second \((processorMilliseconds() - idle) / 2)")
        guard appends > 0 else { return try await engine.close() }
        let producer = try engine.producer()
        let count = try engine.describeTopic(topic).partitions.count
        for number in 0..<appends {
            try enqueue(number, partition: number % count, to: producer)
        }
        try await producer.flush()
        say("done 1")
        kill(getpid(), SIGKILL)
    }

    private static var scaleConfiguration: EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.durability = .buffered
        return configuration
    }

    private static func enqueue(
        _ number: Int, partition: Int, to producer: Producer
    ) throws {
        let value = Array("record \(number)".utf8)
        try producer.enqueue(
            topic: topic, partition: Int32(partition), key: nil, value: value.span.bytes)
    }

    static func limitDescriptors(to count: Int) throws {
        var limit = rlimit(rlim_cur: rlim_t(count), rlim_max: rlim_t(count))
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { exit(9) }
    }

    /// A number of `/proc/self/status`.
    private static func status(_ name: String) -> Int {
        var bytes = [UInt8](repeating: 0, count: 1 << 14)
        let file = open("/proc/self/status", O_RDONLY)
        defer { close(file) }
        let count = read(file, &bytes, bytes.count)
        let text = String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.split(whereSeparator: \.isWhitespace)[1]) } ?? -1
    }

    private static func processorMilliseconds() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func milliseconds(_ time: timeval) -> Int { time.tv_sec * 1000 + Int(time.tv_usec) / 1000 }
        return milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime)
    }
}
