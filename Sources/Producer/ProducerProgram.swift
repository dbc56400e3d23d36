import Glibc
import Kafka
import KafkaService
import ServiceKit
import TradeModel
import WebSocket

/// The program's own settings.
enum ProducerOptions {
    static let feedURL = Setting<String>(
        "feed-url", default: "wss://ws.finnhub.io", help: "The feed's address, ws:// or wss://, without the token.")
    static let feedToken = Setting<String>(
        "feed-token", environment: "FINNHUB_TOKEN", default: "", isSecret: true,
        help: "The feed's API key. One connection a key: a second producer needs a key of its own.")
    static let certificateAuthority = Setting<String>(
        "feed-ca-file", help: "A PEM file of certificate authorities to trust besides the system's.")
    static let idleTimeout = Setting<Int>(
        "feed-idle-timeout", default: "120", unit: "seconds",
        help: "How long nothing may come before the feed is dialled anew: 90 to 150, since it pings once a minute.",
        rule: { 10...86_400 ~= $0 ? nil : "must be from 10 to 86400" })
    static let exitOnAuthFailure = Setting<Bool>(
        "exit-on-auth-failure", default: "false",
        help: "End with status \(FeedKeyRefused.exitStatus) when the feed refuses the key, instead of trying again.")
    static let symbols = Setting<[String]>(
        "symbols", default: "AAPL,AMZN,BINANCE:BTCUSDT,BINANCE:ETHUSDT",
        help: "The symbols to subscribe to, with commas between them: at most \(FeedSymbols.maximum).",
        rule: FeedSymbols.problem)
    static let sourceID = Setting<String>(
        "source-id", default: "producer",
        help: "This producer's name in every record: the same after a restart, another for each producer.",
        rule: {
            if $0 == "\(TradeRecord.retrySource)" { return "must be another: it is that of records sent again" }
            return 1...ShortText.capacity ~= $0.utf8.count ? nil : "must have 1 to \(ShortText.capacity) bytes"
        })

    static let countersInterval = Setting<Int>(
        "counters-interval", default: "60", unit: "seconds",
        help: "The time between two events that tell what was counted.",
        rule: { 1...86_400 ~= $0 ? nil : "must be from 1 to 86400" })

    static let spoolDirectory = Setting<String>(
        "spool-directory",
        help: "Where trades are kept until Kafka has them; $STATE_DIRECTORY or ~/.local/state/tickstream without it.")
    static let spoolMaxBytes = Setting<Int>(
        "spool-max-bytes", default: "4294967296", unit: "bytes",
        help: "What the spool may take on disk; when it is full, reading from the feed waits.",
        rule: { $0 >= 64 << 20 ? nil : "must be at least 67108864, which are 64 MiB" })

    static let monitoring = MonitoringService.listenSetting(default: "127.0.0.1:9101")

    static let all: [any AnySetting] =
        [feedURL, feedToken, certificateAuthority, idleTimeout, exitOnAuthFailure, symbols, sourceID] + KafkaOptions.all
        + [
            KafkaOptions.eventsTopic, spoolDirectory, spoolMaxBytes, MarketOptions.hoursFile, countersInterval,
            monitoring,
        ]
}

/// The program's settings and commands.
let producerProgram = Program(
    name: "producer",
    summary: "Takes live trades from a WebSocket feed into a Kafka topic.",
    settings: ProducerOptions.all,
    commands: [
        Program.Command(
            "", "Connect to the feed and publish its trades, until SIGTERM.", run: exitingOnRefusedKey(produce)),
        Program.Command(
            "check", "Check the configuration, Kafka and, without the key, the feed; say what is wrong.", run: check),
    ])

@Sendable
private func produce(_ configuration: Configuration, _ logger: Logger) throws {
    let metrics = MetricsRegistry()
    let health = Health()
    var client = try clientConfiguration(configuration)
    let makeClock = FeedClock.ofProgram(&client, logger)
    let calendar = try MarketOptions.calendar(configuration)
    let source = ShortText(configuration[ProducerOptions.sourceID])!
    let spools = try openSpools(configuration)
    let counts = FeedCounts(metrics)
    let events = try FeedEventPublisher(spool: spools.events, source: source, logger: logger, metrics: metrics)
    tellDamage(spools, events, logger)
    let kafka = try kafkaSettings(configuration)
    let delivery = DeliveryService(
        spools: spools, events: events, counts: counts,
        countersInterval: .seconds(configuration[ProducerOptions.countersInterval]), logger: logger, metrics: metrics,
        health: health, makeClient: { try KafkaProducer(settings: kafka, events: $0) })
    let symbols = FeedSymbols.unique(configuration[ProducerOptions.symbols], logger)
    // Before anything runs: no one is to see the program ready that is not.
    let connectionMetrics = FeedConnectionMetrics(metrics, health)
    let feed = FeedService(configuration: client) { [client] in
        let silence = SilenceWatch(
            calendar: calendar, symbols: symbols, events: events, logger: logger, metrics: metrics)
        let publisher = try TradePublisher(
            spool: spools.trades, source: source, counts: counts, silence: silence, logger: logger)
        return FeedConnection(
            feed: client.url, symbols: symbols, token: configuration[ProducerOptions.feedToken],
            exitsOnRefusedKey: configuration[ProducerOptions.exitOnAuthFailure], publisher: publisher, events: events,
            silence: silence, lastSign: spools.lastSign, clock: makeClock(), logger: logger, metrics: connectionMetrics)
    }
    // Stopped in reverse: first no more comes in, then what came in is acknowledged.
    try ServiceGroup(
        [delivery, feed], monitoringOn: configuration[ProducerOptions.monitoring], metrics: metrics, health: health,
        logger: logger, stopDeadline: .seconds(35)
    ).run()
}

@Sendable
private func check(_ configuration: Configuration, _ logger: Logger) throws {
    let feed = try clientConfiguration(configuration)
    _ = try MarketOptions.calendar(configuration)
    let producer = try KafkaProducer(
        settings: try kafkaSettings(configuration), events: KafkaEvents(logger: logger))
    warnOfEmbeddedBroker(cluster: try producer.clusterID(timeout: .seconds(10)), logger: logger)
    for topic in [configuration[KafkaOptions.topic], configuration[KafkaOptions.eventsTopic]] {
        let partitions = try producer.partitionCount(of: topic, timeout: .seconds(10))
        logger.info(
            "the topic is there",
            ["kafka.topic": topic, "kafka.partitions": partitions, "kafka.bootstrap": producer.bootstrapServers])
    }
    _ = FeedSymbols.unique(configuration[ProducerOptions.symbols], logger)
    try FeedProbe.run(feed, address: configuration[ProducerOptions.feedURL], logger: logger)
}

private func openSpools(_ configuration: Configuration) throws -> Spools {
    let base: String
    if let given = configuration[optional: ProducerOptions.spoolDirectory] {
        base = given
    } else if let state = environment("STATE_DIRECTORY") {
        // systemd's, which may be a list.
        base = String(state.prefix { $0 != ":" })
    } else if let home = environment("HOME") {
        base = "\(home)/.local/state/tickstream"
    } else {
        throw ConfigurationError("--\(ProducerOptions.spoolDirectory.name) must name a directory: there is no HOME")
    }
    return try Spools(
        directory: try SpoolDirectory(base, source: configuration[ProducerOptions.sourceID]),
        tradesTopic: configuration[KafkaOptions.topic], eventsTopic: configuration[KafkaOptions.eventsTopic],
        limits: Spool.Limits(bytes: configuration[ProducerOptions.spoolMaxBytes]))
}

private func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
}

/// Says what a former run wrote and this one cannot read.
private func tellDamage(_ spools: Spools, _ events: FeedEventPublisher, _ logger: Logger) {
    for damage in spools.trades.damage + spools.events.damage {
        logger.error("a part of the spool is lost", ["error": damage])
        events.publish(.dropped) { $0.cause = damage }
    }
}

/// The feed's client as the settings have it.
func clientConfiguration(_ configuration: Configuration) throws -> WebSocketClientConfiguration {
    let url: WebSocketURL
    do {
        url = try feedURL(configuration[ProducerOptions.feedURL], token: configuration[ProducerOptions.feedToken])
    } catch {
        // Not the setting's rule, whose failure shows the value: a token may stand in it.
        throw ConfigurationError("--\(ProducerOptions.feedURL.name): \(error)")
    }
    var client = WebSocketClientConfiguration(url: url)
    client.certificateAuthorityFile = configuration[optional: ProducerOptions.certificateAuthority]
    client.idleTimeout = .seconds(configuration[ProducerOptions.idleTimeout])
    return client
}

/// The feed's address with its token, which the URL's description leaves out.
func feedURL(_ address: String, token: String) throws -> WebSocketURL {
    guard !token.isEmpty else { return try WebSocketURL(address) }
    return try WebSocketURL("\(address)\(address.contains("?") ? "&" : "?")token=\(percentEncoded(token))")
}

private func kafkaSettings(_ configuration: Configuration) throws -> KafkaSettings {
    try KafkaOptions.complete(
        .producer(bootstrapServers: configuration[KafkaOptions.bootstrapServers]), from: configuration)
}
