// swift-tools-version: 6.2
import PackageDescription

/// What every target is built with: Swift 6 language mode, and no warning survives.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    // Debug builds, which the tests run, check exclusive access as they run; in release each check costs as much as a field
    // of a trade.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// A module under `Sources/Shared`.
func shared(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/Shared/\(name)", swiftSettings: settings)
}

/// A program: the module in `Sources/<name>`.
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies + ["ServiceKit"], path: "Sources/\(name)", swiftSettings: settings)
}

/// A test target in `Tests/<name>`.
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestSupport"], path: "Tests/\(name)", swiftSettings: settings)
}

/// A C library of Debian's, found by pkg-config.
func library(_ name: String, pkgConfig: String, package: String) -> Target {
    .systemLibrary(
        name: name, path: "Sources/Shared/CLibraries/\(name)", pkgConfig: pkgConfig,
        providers: [.apt([package])])
}

let package = Package(
    name: "tickstream",
    products: [
        .executable(name: "producer", targets: ["Producer"]),
        .executable(name: "consumer", targets: ["Consumer"]),
        .executable(name: "kpi-service", targets: ["KPIService"]),
        .executable(name: "feed-simulator", targets: ["FeedSimulator"]),
        .executable(name: "dev-broker", targets: ["DevBroker"]),
        .executable(name: "local-pipeline", targets: ["LocalPipeline"]),
        .executable(name: "bench", targets: ["Benchmarks"]),
        .executable(name: "campaigns", targets: ["Campaigns"]),
    ],
    targets: [
        library("CLibrdkafka", pkgConfig: "rdkafka", package: "librdkafka-dev"),
        library("CLibpq", pkgConfig: "libpq", package: "libpq-dev"),
        library("CLibwebsockets", pkgConfig: "libwebsockets", package: "libwebsockets-dev"),
        library("CSSL", pkgConfig: "openssl", package: "libssl-dev"),

        shared("TradeModel"),
        shared("Kafka", ["CLibrdkafka"]),
        shared("Postgres", ["CLibpq", "TradeModel"]),
        shared("WebSocket", ["CLibwebsockets"]),
        shared("ServiceKit", ["TradeModel", "WebSocket"]),
        // The schema's numbered SQL files, compiled in, so that every program knows which schema it was built for.
        .target(
            name: "Migrations", dependencies: ["Postgres"], path: "deploy/postgres",
            resources: [
                .embedInCode("0001_trades.sql"),
                .embedInCode("0002_rollups.sql"),
                .embedInCode("0003_kpis.sql"),
                .embedInCode("0004_feed_events.sql"),
                .embedInCode("0005_source_positions.sql"),
                .embedInCode("0006_feed_gap.sql"),
                .embedInCode("0007_ledger_faults.sql"),
                .embedInCode("0008_daily_trades.sql"),
                .embedInCode("0009_ingest_batches.sql"),
                .embedInCode("0010_rejected_retries.sql"),
                .embedInCode("0011_roles.sql"),
                .embedInCode("0012_kpi_views.sql"),
                .embedInCode("0013_alerts.sql"),
                .embedInCode("0014_repeats.sql"),
                .embedInCode("0015_closed_alerts_and_retries.sql"),
                .embedInCode("0016_storing_functions.sql"),
            ],
            swiftSettings: settings),
        shared("KafkaService", ["Kafka", "ServiceKit"]),
        shared("ExactlyOnce", ["TradeModel", "Kafka", "KafkaService", "Postgres", "ServiceKit", "Migrations"]),

        program("Producer", ["TradeModel", "Kafka", "KafkaService", "WebSocket"]),
        program("Consumer", ["TradeModel", "Kafka", "KafkaService", "Postgres", "ExactlyOnce", "Migrations"]),
        program("KPIService", ["TradeModel", "Kafka", "KafkaService", "Postgres", "ExactlyOnce"]),
        program("FeedSimulator", ["TradeModel", "WebSocket", "CSSL"]),
        program("DevBroker", ["Kafka", "KafkaService"]),

        // What `make run`, the tests and the benchmarks start on one machine.
        .target(
            name: "LocalServers", path: "deploy/local/LocalServers", swiftSettings: settings),
        .executableTarget(
            name: "LocalPipeline", dependencies: ["LocalServers", "Kafka", "KafkaService", "Postgres", "ServiceKit"],
            path: "deploy/local/Pipeline", swiftSettings: settings),

        // What several test targets need; those without a database do not link one.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: settings),
        .target(
            name: "DatabaseTestSupport", dependencies: ["TestSupport", "LocalServers", "Postgres", "Migrations"],
            path: "Tests/DatabaseTestSupport", swiftSettings: settings),
        .target(
            name: "KafkaTestSupport", dependencies: ["TestSupport", "Kafka"],
            path: "Tests/KafkaTestSupport", swiftSettings: settings),
        .target(
            name: "ProgramTestSupport", dependencies: ["TestSupport", "LocalServers", "Kafka"],
            path: "Tests/ProgramTestSupport", swiftSettings: settings),

        tests("TradeModelTests", ["TradeModel"]),
        tests("KafkaTests", ["Kafka"]),
        tests("PostgresTests", ["Postgres", "TradeModel", "LocalServers"]),
        tests("WebSocketTests", ["WebSocket", "LocalServers"]),
        tests("ServiceKitTests", ["ServiceKit"]),
        tests(
            "ExactlyOnceTests",
            ["ExactlyOnce", "TradeModel", "Kafka", "Postgres", "ServiceKit", "LocalServers", "DatabaseTestSupport"]),
        tests("ProducerTests", ["Producer", "TradeModel", "Kafka", "WebSocket", "ServiceKit", "LocalServers"]),
        tests(
            "ConsumerTests",
            [
                "Consumer", "ExactlyOnce", "TradeModel", "Kafka", "Postgres", "ServiceKit", "Migrations",
                "DatabaseTestSupport", "KafkaTestSupport",
            ]),
        tests(
            "KPIServiceTests",
            [
                "KPIService", "ExactlyOnce", "TradeModel", "Kafka", "Postgres", "ServiceKit", "DatabaseTestSupport",
                "KafkaTestSupport",
            ]),
        tests("FeedSimulatorTests", ["FeedSimulator", "ServiceKit", "TradeModel", "WebSocket"]),
        tests("LocalServersTests", ["LocalServers"]),
        tests("LocalPipelineTests", ["LocalPipeline", "LocalServers", "Postgres"]),
        tests(
            "FailpointTests",
            ["ExactlyOnce", "LocalServers", "Postgres", "DatabaseTestSupport", "ProgramTestSupport"]),
        tests(
            "IntegrationTests",
            ["LocalServers", "Kafka", "Postgres", "Migrations", "DatabaseTestSupport", "ProgramTestSupport"]),
        tests("FeedFaultTests", ["LocalServers", "Kafka", "ProgramTestSupport"]),
        tests("EndToEndTests", ["LocalServers", "Kafka", "Postgres", "TradeModel", "ProgramTestSupport"]),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "LocalServers", "TradeModel", "Kafka", "CLibrdkafka", "Postgres", "Migrations", "WebSocket",
                "ServiceKit", "TestSupport",
            ],
            path: "Tests/Benchmarks", swiftSettings: settings),
        .executableTarget(
            name: "Campaigns", dependencies: ["LocalServers", "TradeModel", "Kafka", "Postgres", "TestSupport"],
            path: "Tests/Campaigns", swiftSettings: settings),
    ]
)
