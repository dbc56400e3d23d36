import ServiceKit

private let listen = Setting<ListenAddress>(
    "listen", environment: "SIMULATOR_LISTEN", default: "127.0.0.1:8765",
    help: "The address and port to listen on; port 0 takes any free one.")
private let addressFile = Setting<String>(
    "address-file", environment: "SIMULATOR_ADDRESS_FILE",
    help: "A file that the address for clients (ws://host:port) is written to once it is listened on.")
private let token = Setting<String>(
    "token", environment: "FEED_TOKEN", isSecret: true,
    help: "The token that clients must bring as /?token=…; without it any client is welcome.")
private let maxSymbols = Setting<Int>(
    "max-symbols", environment: "SIMULATOR_MAX_SYMBOLS", default: "50",
    help: "How many symbols a connection may subscribe; like the real feed, the second one above it is refused.",
    rule: atLeast(1))
private let pingInterval = Setting<Double>(
    "ping-interval", environment: "SIMULATOR_PING_INTERVAL", default: "60", unit: "seconds",
    help: "The time between two pings.",
    rule: { $0 > 0 && $0 <= 86_400 ? nil : "must be above 0 and at most 86400" })
private let seed = Setting<Int>(
    "seed", environment: "SIMULATOR_SEED", default: "1",
    help: "Which market is simulated: the same seed gives the same trades.", rule: atLeast(0))
private let extraSymbols = Setting<Int>(
    "extra-symbols", environment: "SIMULATOR_EXTRA_SYMBOLS", default: "0",
    help: "How many made-up symbols (SIM:0001 …) there are besides the six.",
    rule: { 0...100_000 ~= $0 ? nil : "must be 0 to 100000" })
private let rate = Setting<Int>(
    "rate", environment: "SIMULATOR_RATE", default: "200", unit: "trades a second",
    help: "How many trades each connection gets, all symbols together.",
    rule: { 1...200_000 ~= $0 ? nil : "must be 1 to 200000" })
private let maxFrameTrades = Setting<Int>(
    "max-frame-trades", environment: "SIMULATOR_MAX_FRAME_TRADES", default: "30", help: "The most trades in a frame.",
    rule: { 1...10_000 ~= $0 ? nil : "must be 1 to 10000" })
private let limit = Setting<Int>(
    "limit", environment: "SIMULATOR_LIMIT", help: "After this many trades sent in all, only pings are sent.",
    rule: atLeast(0))
private let replay = Setting<String>(
    "replay", environment: "SIMULATOR_REPLAY",
    help: "A recording to play to each connection from its first subscription on, instead of the market.")
private let speed = Setting<Double>(
    "speed", environment: "SIMULATOR_SPEED", default: "1",
    help: "How many times faster than recorded a replay is played; 0 is as fast as possible.",
    rule: { $0 >= 0 ? nil : "must not be negative" })
private let scenario = Setting<String>(
    "scenario", environment: "SIMULATOR_SCENARIO",
    help:
        "A file of what each connection is served, with faults, instead of the market; docs/scenarios.md has the form.")
private let record = Setting<String>(
    "record", environment: "SIMULATOR_RECORD",
    help: "A file that each frame sent is written to, in the form that --replay reads.")

private func atLeast(_ least: Int) -> @Sendable (Int) -> String? {
    { $0 >= least ? nil : "must be at least \(least)" }
}

/// The program's settings and commands.
let feedSimulatorProgram = Program(
    name: "feed-simulator",
    summary: "A WebSocket server that speaks Finnhub's trades protocol, with a simulated market or a recording.",
    settings: [
        listen, addressFile, token, maxSymbols, pingInterval, seed, extraSymbols, rate, maxFrameTrades, limit, replay,
        speed, scenario, record,
    ],
    commands: [
        Program.Command("", "Serve the feed until SIGTERM.", run: simulate),
        Program.Command("check", "Check the configuration, the recording and the scenario.", run: check),
    ])

@Sendable
private func simulate(_ configuration: Configuration, _ logger: Logger) throws {
    let options = try FeedOptions(configuration)
    let server: any Service =
        if let scenario = options.scenario {
            try ScenarioServer(scenario, options, logger: logger)
        } else {
            try FeedServer(options, logger: logger)
        }
    try ServiceGroup([server], logger: logger).run()
}

@Sendable
private func check(_ configuration: Configuration, _ logger: Logger) throws {
    let options = try FeedOptions(configuration)
    if let scenario = options.scenario { _ = try TLSIdentity.all(of: scenario) }
    logger.info("the configuration is good")
}

extension FeedOptions {
    /// Takes the settings' values, and reads the recording that is to be replayed.
    fileprivate init(_ configuration: Configuration) throws {
        listen = configuration[FeedSimulator.listen]
        addressFile = configuration[optional: FeedSimulator.addressFile]
        token = configuration[optional: FeedSimulator.token]
        maxSymbols = configuration[FeedSimulator.maxSymbols]
        pingInterval = .seconds(configuration[FeedSimulator.pingInterval])
        seed = UInt64(configuration[FeedSimulator.seed])
        extraSymbols = configuration[FeedSimulator.extraSymbols]
        rate = configuration[FeedSimulator.rate]
        maxFrameTrades = configuration[FeedSimulator.maxFrameTrades]
        limit = configuration[optional: FeedSimulator.limit] ?? .max
        replay = try configuration[optional: FeedSimulator.replay].map { try Replay(contentsOf: $0) }
        speed = configuration[FeedSimulator.speed]
        recordFile = configuration[optional: record]
        guard let path = configuration[optional: FeedSimulator.scenario] else { return }
        for (name, isGiven) in [("replay", replay != nil), ("limit", limit != .max)] where isGiven {
            throw ConfigurationError("--scenario cannot be combined with --\(name): leave one of them out")
        }
        scenario = try Scenario(contentsOf: path, known: Set(MarketSymbol.all(extra: extraSymbols).map(\.name)))
    }
}
