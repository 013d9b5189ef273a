// swift-tools-version: 6.2
import PackageDescription

// An application of Tally, as a user would write it: a package of its own, which depends on the
// engine by path and uses only what the engine makes public.
//
// Outside of this repository the first dependency would be a URL and a version.

let warningsAreErrors = Context.environment["TALLY_WARNINGS"] == "error"
let settings: [SwiftSetting] =
    [.enableUpcomingFeature("ExistentialAny")]
    + (warningsAreErrors ? [.treatAllWarnings(as: .error)] : [])

let package = Package(
    name: "InventoryPlatform",
    products: [
        .library(name: "InventoryPlatform", targets: ["InventoryPlatform"]),
        .executable(name: "inventory-platform", targets: ["InventoryPlatformCommand"]),
    ],
    dependencies: [
        .package(name: "tally", path: "../.."),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        .target(
            name: "InventoryPlatform",
            dependencies: [
                .product(name: "Tally", package: "tally"),
                .product(name: "TallyStateStore", package: "tally"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Sources/InventoryPlatform", swiftSettings: settings),
        .executableTarget(
            name: "InventoryPlatformCommand",
            dependencies: [
                "InventoryPlatform",
                .product(name: "Tally", package: "tally"),
                .product(name: "TallyStateStore", package: "tally"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Command", swiftSettings: settings),
        .testTarget(
            name: "InventoryPlatformTests",
            dependencies: [
                "InventoryPlatform", "InventoryPlatformCommand",
                .product(name: "Tally", package: "tally"),
                .product(name: "TallyStateStore", package: "tally"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Tests/InventoryPlatformTests", swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
