import ExactlyOnce
import KafkaService
import Migrations
import Postgres
import ServiceKit

private let group = Setting<String>(
    "consumer-group", default: "consumer",
    help: "The consumer group whose members share the partitions; with -events behind it, that of the feed's events.")

private let retain = Setting<Retention?>(
    "retain", default: "off",
    help: "How long trades are kept, by the day of their own time: 30d, say; off keeps them for ever.")

private let retainBatches = Setting<Retention?>(
    "retain-batches", default: "7d",
    help:
        "How long ingest_batch keeps what each transaction brought, and how long its trades took; off keeps it for ever."
)

private let monitoring = MonitoringService.listenSetting(default: "127.0.0.1:9102")

/// What only reading needs: other commands do without.
let readingOptions: [any AnySetting] = [
    KafkaOptions.eventsTopic, TopicReaderOptions.acceptNewCluster, group, monitoring,
]

/// The program's settings and commands.
let consumerProgram = Program(
    name: "consumer",
    summary: "Writes every trade and every event of the feed exactly once from the topics into PostgreSQL.",
    settings: TopicReaderOptions.all + [KafkaOptions.eventsTopic, group, retain, retainBatches, monitoring],
    commands: [
        Program.Command("", "Read the topic and fill the tables, until SIGTERM.", run: consume),
        Program.Command(
            "migrate", "Bring the database's schema to the version of this program.",
            ignoring: KafkaOptions.all, run: migrate),
        Program.Command("check", "Check the configuration, the database and Kafka, and say what is wrong.", run: check),
        .ledgerShow, .ledgerReset, .rejectedList, .rejectedDrop, .rejectedRetry,
    ])

@Sendable
private func consume(_ configuration: Configuration, _ logger: Logger) throws {
    let metrics = MetricsRegistry()
    let trades = try tradesConfiguration(configuration)
    let events = try eventsConfiguration(configuration)
    let tradesMetrics = TopicReaderMetrics(metrics, topic: trades.topic)
    let tradesRejections = ConsumerMetrics(metrics, topic: trades.topic)
    let tradesReader = TopicReader(trades, logger: logger, metrics: tradesMetrics) {
        TradeBatch(metrics: tradesRejections)
    }
    let eventsRejections = ConsumerMetrics(metrics, topic: events.topic)
    let eventsMetrics = TopicReaderMetrics(metrics, topic: events.topic)
    let eventsReader = TopicReader(events, logger: logger, metrics: eventsMetrics) {
        FeedEventBatch(metrics: eventsRejections)
    }
    let tables = [
        // A topic keeps a week unless told otherwise: that is what there may be to catch up with.
        DailyTable(name: "trade_data_finhub", daysBehind: 7, retention: configuration[retain]),
        DailyTable(name: "ingest_batch", daysBehind: 0, retention: configuration[retainBatches]),
    ]
    let maintenance = PeriodicService(
        "maintenance", every: .seconds(10),
        database: try DatabaseOptions.configuration(configuration, applicationName: "consumer maintenance"),
        logger: logger, complaint: "partitions could not be maintained; trying again"
    ) { MaintenanceWork(tables, metrics: metrics, logger: logger) }
    // Ready is who stores trades: of several consumers, one has the events.
    try ServiceGroup(
        [maintenance, eventsReader, tradesReader], monitoringOn: configuration[monitoring], metrics: metrics,
        health: tradesMetrics.health, logger: logger
    ).run()
}

private func tradesConfiguration(_ configuration: Configuration) throws -> TopicReaderConfiguration {
    try TopicReaderOptions.reader("consumer", group: configuration[group], configuration)
}

private func eventsConfiguration(_ configuration: Configuration) throws -> TopicReaderConfiguration {
    try TopicReaderOptions.reader(
        "consumer", topic: KafkaOptions.eventsTopic, group: "\(configuration[group])-events", configuration)
}

@Sendable
private func migrate(_ configuration: Configuration, _ logger: Logger) throws {
    let database = try DatabaseOptions.configuration(configuration, applicationName: "consumer migrate")
    var connection = try PostgresConnection(database)
    let applied = try Migrator.tickstream.migrate(&connection)
    let version = try Migrator.tickstream.currentVersion(&connection) ?? 0
    logger.info(
        "the schema is up to date",
        ["database": database.redactedDescription, "schema.version": version, "schema.applied": applied.count])
}

@Sendable
private func check(_ configuration: Configuration, _ logger: Logger) throws {
    try tradesConfiguration(configuration).check(logger)
    try eventsConfiguration(configuration).check(logger)
}
