// swift-tools-version: 6.2
import PackageDescription

// The module table: which module exists, where it lives and what it may import.
// `make layering` compares every `import` in the sources with what stands here.

/// `make check` sets TALLY_WARNINGS=error. Elsewhere warnings stay warnings, so that a newer
/// compiler with new ones still builds this; dependencies are not concerned either way.
let warningsAreErrors = Context.environment["TALLY_WARNINGS"] == "error"
let swiftWarnings: [SwiftSetting] = warningsAreErrors ? [.treatAllWarnings(as: .error)] : []
let cWarnings: [CSetting] =
    warningsAreErrors
    ? [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)] : []

/// For modules of the engine: imports are internal unless they say otherwise, spans may be
/// returned from our own types, and every unsafe operation is spelled out.
let engineSettings: [SwiftSetting] =
    [
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("ExistentialAny"),
        .enableExperimentalFeature("Lifetimes"),
        .strictMemorySafety(),
    ] + swiftWarnings

/// For tools and tests, which hold no unsafe code of their own.
let plainSettings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableExperimentalFeature("Lifetimes"),
    ] + swiftWarnings

let package = Package(
    name: "tally",
    products: [
        .library(name: "Tally", targets: ["Tally"]),
        .library(name: "TallyStateStore", targets: ["TallyStateStore"]),
        .library(name: "TallyServer", targets: ["TallyServer"]),
        .library(name: "TallyCluster", targets: ["TallyCluster"]),
        .library(name: "TallyEtcd", targets: ["TallyEtcd"]),
        .library(name: "TallyKafka", targets: ["TallyKafka"]),
        .executable(name: "tally", targets: ["TallyCommand"]),
    ],
    // None is a default: who needs no other codec than LZ4 needs no other library either. Packages
    // that only a trait needs are not even fetched without it.
    traits: [
        .trait(name: "Gzip", description: "Reads and writes gzip batches; needs zlib1g-dev."),
        .trait(
            name: "Snappy", description: "Reads and writes snappy batches; needs libsnappy-dev."),
        .trait(name: "Zstd", description: "Reads and writes zstd batches; needs libzstd-dev."),
        .trait(name: "Etcd", description: "A coordination store in etcd; needs AsyncHTTPClient."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        // MARK: Engine
        .systemLibrary(
            name: "CLZ4", path: "Engine/CLZ4", pkgConfig: "liblz4",
            providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CZlib", path: "Engine/CZlib", pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CSnappy", path: "Engine/CSnappy", pkgConfig: "snappy",
            providers: [.apt(["libsnappy-dev"])]),
        .systemLibrary(
            name: "CZstd", path: "Engine/CZstd", pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"])]),
        .target(name: "CChecksum", path: "Engine/CChecksum", cSettings: cWarnings),
        .target(name: "TallyFiles", path: "Engine/Files", swiftSettings: engineSettings),
        .target(
            name: "TallyRecords",
            dependencies: [
                "CLZ4", "CChecksum",
                .target(name: "CZlib", condition: .when(traits: ["Gzip"])),
                .target(name: "CSnappy", condition: .when(traits: ["Snappy"])),
                .target(name: "CZstd", condition: .when(traits: ["Zstd"])),
            ],
            path: "Engine/Records", exclude: ["FORMAT.md"], swiftSettings: engineSettings),
        .target(
            name: "TallyLog", dependencies: ["TallyFiles", "TallyRecords"], path: "Engine/Log",
            exclude: ["FORMAT.md"], swiftSettings: engineSettings),
        .target(
            name: "TallyCompaction", dependencies: ["TallyRecords", "TallyLog"],
            path: "Engine/Compaction", swiftSettings: engineSettings),
        .target(
            name: "TallyGroups", dependencies: ["TallyRecords"], path: "Engine/Groups",
            exclude: ["FORMAT.md", "GROUPS.md"], swiftSettings: engineSettings),
        .target(
            name: "TallyTransactions", dependencies: ["TallyRecords"],
            path: "Engine/Transactions", exclude: ["FORMAT.md"], swiftSettings: engineSettings),
        .target(
            name: "TallyReplication", dependencies: ["TallyRecords"], path: "Engine/Replication",
            exclude: ["FORMAT.md"], swiftSettings: engineSettings),
        .target(
            name: "TallyWire", path: "Engine/Wire", exclude: ["FORMAT.md"],
            swiftSettings: engineSettings),
        .target(
            name: "Tally",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "TallyCompaction", "TallyGroups",
                "TallyTransactions",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            path: "Engine/Core", exclude: ["FORMAT.md"], swiftSettings: engineSettings),

        .target(
            name: "TallyCluster",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "TallyTransactions", "TallyReplication",
                "TallyWire", "TallyClient", "Tally",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Engine/Cluster", swiftSettings: engineSettings),
        .target(
            name: "TallyServer",
            dependencies: [
                "TallyFiles", "TallyLog", "TallyTransactions", "TallyReplication", "TallyWire",
                "Tally", "TallyCluster",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Engine/Server", swiftSettings: engineSettings),
        .target(
            name: "TallyEtcd",
            dependencies: [
                "TallyReplication",
                .product(
                    name: "AsyncHTTPClient", package: "async-http-client",
                    condition: .when(traits: ["Etcd"])),
                .product(
                    name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["Etcd"])),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Engine/Etcd", swiftSettings: engineSettings),

        .target(
            name: "TallyClient",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyWire",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Engine/Client", swiftSettings: engineSettings),
        .target(
            name: "TallyKafka",
            dependencies: [
                "TallyLog", "TallyRecords", "TallyGroups", "TallyTransactions", "TallyWire",
                "TallyClient", "Tally",
            ],
            path: "Engine/Kafka", swiftSettings: engineSettings),

        // MARK: StateStore
        .target(
            name: "TallyStateStore",
            dependencies: [
                "TallyFiles", "TallyGroups", "TallyTransactions", "TallyReplication", "Tally",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "StateStore", exclude: ["FORMAT.md"], swiftSettings: engineSettings),

        // MARK: Tools
        .target(
            name: "TallyImport",
            dependencies: ["CLZ4"],
            path: "Tools/Import", swiftSettings: plainSettings),
        .target(
            name: "TallyContracts",
            dependencies: [.product(name: "Yams", package: "Yams")],
            path: "Tools/Contracts", exclude: ["FORMAT.md"], swiftSettings: plainSettings),
        .target(
            name: "TallyPrometheus",
            dependencies: [
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Tools/Prometheus", swiftSettings: plainSettings),
        .target(
            name: "TallyBench",
            dependencies: [
                "CLZ4", "TallyFiles", "TallyRecords", "TallyLog", "TallyCompaction", "Tally",
                "TallyStateStore", "TallyImport", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tools/Bench", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyCommand",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "Tally", "TallyStateStore", "TallyImport",
                "TallyBench", "TallyContracts", "TallyWire", "TallyServer", "TallyClient",
                "TallyPrometheus", "TallyReplication", "TallyCluster", "TallyEtcd",
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tools/tally", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyExample", dependencies: ["Tally"], path: "Tools/Examples/AppendAndRead",
            swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyTransactionExample", dependencies: ["Tally", "TallyStateStore"],
            path: "Tools/Examples/ReadProcessWrite", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyCountingExample",
            dependencies: [
                "Tally", "TallyStateStore", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tools/Examples/CountOnce", swiftSettings: plainSettings),
        .target(
            name: "TallySnippets",
            dependencies: [
                "Tally", "TallyStateStore", "TallyServer", "TallyKafka",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Tools/Examples/Snippets", swiftSettings: plainSettings),

        // MARK: Tests
        .target(
            name: "TallyTestSupport", dependencies: ["TallyFiles", "TallyRecords", "TallyLog"],
            path: "Tests/Support", swiftSettings: plainSettings),
        .testTarget(
            name: "FilesTests", dependencies: ["TallyFiles", "TallyTestSupport"],
            path: "Tests/FilesTests", swiftSettings: plainSettings),
        .testTarget(
            name: "RecordsTests", dependencies: ["TallyRecords", "TallyTestSupport"],
            path: "Tests/RecordsTests", swiftSettings: plainSettings),
        .testTarget(
            name: "LogTests",
            dependencies: ["TallyFiles", "TallyRecords", "TallyLog", "TallyTestSupport"],
            path: "Tests/LogTests", swiftSettings: plainSettings),
        .testTarget(
            name: "CompactionTests",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "TallyCompaction", "TallyTestSupport",
            ],
            path: "Tests/CompactionTests", swiftSettings: plainSettings),
        .testTarget(
            name: "GroupsTests",
            dependencies: ["TallyRecords", "TallyGroups", "TallyTestSupport"],
            path: "Tests/GroupsTests", swiftSettings: plainSettings),
        .testTarget(
            name: "TransactionsTests",
            dependencies: ["TallyRecords", "TallyTransactions", "TallyTestSupport"],
            path: "Tests/TransactionsTests", swiftSettings: plainSettings),
        .target(
            name: "TallyCoordinationConformance",
            dependencies: ["TallyReplication", "TallyTestSupport"],
            path: "Tests/Conformance", swiftSettings: plainSettings),
        .target(
            name: "TallySimulator",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "TallyGroups", "TallyTransactions",
                "TallyReplication", "TallyTestSupport",
                .product(name: "HeapModule", package: "swift-collections"),
            ],
            path: "Tests/Simulator", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallySimulate",
            dependencies: [
                "TallySimulator",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Simulate", swiftSettings: plainSettings),
        .testTarget(
            name: "ReplicationTests",
            dependencies: ["TallyRecords", "TallyReplication", "TallyTestSupport"],
            path: "Tests/ReplicationTests", swiftSettings: plainSettings),
        .testTarget(
            name: "SimulationTests", dependencies: ["TallySimulator"],
            path: "Tests/SimulationTests", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyClusterChild",
            dependencies: ["TallyFiles", "TallyReplication", "TallyStateStore"],
            path: "Tests/ClusterChild", swiftSettings: plainSettings),
        .testTarget(
            name: "ClusterTests",
            dependencies: [
                "TallyReplication", "TallyStateStore", "TallyTestSupport",
                "TallyCoordinationConformance", "TallyClusterChild",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/ClusterTests", swiftSettings: plainSettings),
        .testTarget(
            name: "EtcdTests",
            dependencies: [
                "TallyReplication", "TallyEtcd", "TallyTestSupport",
                "TallyCoordinationConformance",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/EtcdTests", swiftSettings: plainSettings),
        .testTarget(
            name: "FailoverTests",
            dependencies: [
                "TallyRecords", "TallyReplication", "TallyWire", "Tally", "TallyClient",
                "TallyCluster", "TallyEtcd", "TallyKafka", "TallyStateStore", "TallyCommand",
                "TallyTestSupport",
            ],
            path: "Tests/FailoverTests", swiftSettings: plainSettings),
        .testTarget(
            name: "WireTests", dependencies: ["TallyWire", "TallyTestSupport"],
            path: "Tests/WireTests", swiftSettings: plainSettings),
        .testTarget(
            name: "PrometheusTests",
            dependencies: [
                "TallyPrometheus", .product(name: "CoreMetrics", package: "swift-metrics"),
            ],
            path: "Tests/PrometheusTests", swiftSettings: plainSettings),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "TallyWire", "Tally", "TallyStateStore", "TallyServer", "TallyTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/ServerTests", swiftSettings: plainSettings),
        .target(
            name: "TallyServed", dependencies: ["Tally", "TallyServer", "TallyTestSupport"],
            path: "Tests/Served", swiftSettings: plainSettings),
        .testTarget(
            name: "ClientTests",
            dependencies: [
                "TallyRecords", "TallyWire", "Tally", "TallyClient", "TallyServed",
                "TallyTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/ClientTests", swiftSettings: plainSettings),
        .testTarget(
            name: "MemberTests",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "TallyReplication", "TallyWire", "Tally",
                "TallyClient", "TallyCluster", "TallyServer", "TallyTestSupport",
            ],
            path: "Tests/MemberTests", swiftSettings: plainSettings),
        .testTarget(
            name: "KafkaTests",
            dependencies: [
                "TallyRecords", "TallyWire", "Tally", "TallyStateStore", "TallyServed",
                "TallyClient", "TallyKafka", "TallyTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/KafkaTests", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyCrashChild",
            dependencies: [
                "TallyLog", "TallyFiles", "TallyRecords", "TallyCompaction", "Tally",
            ],
            path: "Tests/CrashChild", swiftSettings: plainSettings),
        .testTarget(
            name: "CrashTests",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "Tally", "TallyTestSupport",
                "TallyCrashChild",
            ],
            path: "Tests/CrashTests", swiftSettings: plainSettings),
        .testTarget(
            name: "CoreTests",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "TallyTransactions", "Tally",
                "TallyTestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
            ],
            path: "Tests/CoreTests", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyStateChild",
            dependencies: ["TallyGroups", "TallyTransactions", "Tally", "TallyStateStore"],
            path: "Tests/StateChild", swiftSettings: plainSettings),
        .testTarget(
            name: "StateStoreTests",
            dependencies: [
                "TallyFiles", "TallyRecords", "TallyLog", "TallyGroups", "TallyTransactions",
                "Tally",
                "TallyStateStore", "TallyTestSupport", "TallyStateChild",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/StateStoreTests", swiftSettings: plainSettings),
        .testTarget(
            name: "ImportTests", dependencies: ["TallyImport", "TallyTestSupport"],
            path: "Tests/ImportTests", swiftSettings: plainSettings),
        .testTarget(
            name: "ContractsTests", dependencies: ["TallyContracts", "TallyTestSupport"],
            path: "Tests/ContractsTests", swiftSettings: plainSettings),
        .testTarget(
            name: "CommandTests",
            dependencies: [
                "Tally", "TallyStateStore", "TallyCommand", "TallyContracts", "TallyWire",
                "TallyServed", "TallyClient", "TallyReplication", "TallyCluster",
                "TallyTestSupport",
            ],
            path: "Tests/CommandTests", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyProjectionChild", dependencies: ["Tally", "TallyStateStore"],
            path: "Tests/ProjectionChild", swiftSettings: plainSettings),
        .executableTarget(
            name: "TallyDeliveryChild",
            dependencies: [
                "Tally", "TallyStateStore", .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/DeliveryChild", swiftSettings: plainSettings),
        .testTarget(
            name: "ScenarioTests",
            dependencies: [
                "Tally", "TallyStateStore", "TallyImport", "TallyTestSupport", "TallyExample",
                "TallyTransactionExample", "TallyCountingExample", "TallySnippets",
                "TallyProjectionChild", "TallyContracts",
                "TallyCommand", "TallyDeliveryChild",
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            path: "Tests/ScenarioTests", swiftSettings: plainSettings),
    ],
    swiftLanguageModes: [.v6]
)
