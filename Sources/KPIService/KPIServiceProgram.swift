import ExactlyOnce
import KafkaService
import ServiceKit
import TradeModel

private let group = Setting<String>(
    "kpi-group", default: "kpi-service", help: "The consumer group whose members share the partitions.")

private let commitInterval = Setting<Int>(
    "commit-interval", default: "100", unit: "milliseconds",
    help: "The least time between two commits: what comes in meanwhile is folded into one change a symbol and window.",
    rule: { 0...10_000 ~= $0 ? nil : "must be from 0 to 10000" })

private let retentions: [(grain: Grain, setting: Setting<Retention?>)] = Grain.allCases.map { grain in
    (
        grain,
        Setting(
            "retain-\(grain.rawValue)", default: "off",
            help: "How long rollups of \(grain)s are kept, by the day of their time: 30d, say; off keeps them for ever."
        )
    )
}

private let monitoring = MonitoringService.listenSetting(default: "127.0.0.1:9103")

/// The program's settings and commands.
let kpiServiceProgram = Program(
    name: "kpi-service",
    summary: "Folds the trades of the topic into the rollups that the KPI tables read, each exactly once.",
    settings: TopicReaderOptions.all + [group, commitInterval, RepeatRule.setting] + retentions.map(\.setting)
        + [monitoring] + AlertOptions.all,
    commands: [
        Program.Command("", "Read the topic and keep the rollups, until SIGTERM.", run: fold),
        Program.Command("check", "Check the configuration, the database and Kafka, and say what is wrong.", run: check),
        .rebuild, .verify, .alertsList(ignoring: notForAlerts), .alertsAcknowledge(ignoring: notForAlerts),
        .alertsClose(ignoring: notForAlerts),
    ])

/// What only reading needs: the commands about rollups do without.
let readingOptions: [any AnySetting] =
    KafkaOptions.all + AlertOptions.all
    + [TopicReaderOptions.acceptNewCluster, TopicReaderOptions.instanceID, group, commitInterval, monitoring]
    + retentions.map(\.setting)

/// What the commands about alerts do without: all but the database.
private let notForAlerts: [any AnySetting] = readingOptions + [RepeatRule.setting]

private func readerConfiguration(_ configuration: Configuration) throws -> TopicReaderConfiguration {
    try TopicReaderOptions.reader(
        "kpi-service", group: configuration[group], configuration,
        commitInterval: .milliseconds(configuration[commitInterval]))
}

@Sendable
private func fold(_ configuration: Configuration, _ logger: Logger) throws {
    let metrics = MetricsRegistry()
    let reading = try readerConfiguration(configuration)
    let rejected = metrics.counter("records_rejected_total", "Records that are no trades and count in no rollup")
    let readerMetrics = TopicReaderMetrics(metrics, topic: reading.topic)
    let repeats = configuration[RepeatRule.setting]
    let reader = TopicReader(reading, logger: logger, metrics: readerMetrics) {
        RollupBatch(repeats: repeats, rejected: rejected)
    }
    let retention = RollupRetention(
        Dictionary(uniqueKeysWithValues: retentions.map { ($0.grain, configuration[$0.setting]) })
            .compactMapValues(\.self), metrics: metrics)
    let alerts = AlertOptions.retention(configuration, metrics: metrics)
    let upkeep = PeriodicService(
        "upkeep", every: .seconds(1),
        database: try DatabaseOptions.configuration(configuration, applicationName: "kpi-service upkeep"),
        logger: logger, complaint: "the upkeep of the KPI tables failed; trying again"
    ) { UpkeepWork(retention, alerts: alerts, metrics: metrics) }
    try ServiceGroup(
        AlertOptions.services(configuration, metrics: metrics, logger: logger) + [upkeep, reader],
        monitoringOn: configuration[monitoring], metrics: metrics, health: readerMetrics.health,
        logger: logger
    ).run()
}

@Sendable
private func check(_ configuration: Configuration, _ logger: Logger) throws {
    try readerConfiguration(configuration).check(logger)
    try AlertOptions.check(configuration, logger)
}
