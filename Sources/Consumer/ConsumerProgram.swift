import ExactlyOnce
import KafkaService
import Migrations
import Postgres
import ServiceKit

private let group = Setting<String>(
    "consumer-group", default: "consumer", help: "The consumer group whose members share the partitions.")

private let monitoring = MonitoringService.listenSetting(default: "127.0.0.1:9102")

/// The program's settings and commands.
let consumerProgram = Program(
    name: "consumer",
    summary: "Writes every trade of the topic exactly once into PostgreSQL.",
    settings: TopicReaderOptions.all + [group, monitoring],
    commands: [
        Program.Command("", "Read the topic and fill the tables, until SIGTERM.", run: consume),
        Program.Command(
            "migrate", "Bring the database's schema to the version of this program.",
            ignoring: KafkaOptions.all, run: migrate),
        Program.Command("check", "Check the configuration, the database and Kafka, and say what is wrong.", run: check),
    ])

@Sendable
private func consume(_ configuration: Configuration, _ logger: Logger) throws {
    let metrics = MetricsRegistry()
    let reading = try TopicReaderOptions.reader("consumer", group: group, configuration)
    try requireSchema(of: reading.database)
    let batchMetrics = ConsumerMetrics(metrics)
    let readerMetrics = TopicReaderMetrics(metrics)
    let reader = TopicReader(reading, logger: logger, metrics: readerMetrics) { TradeBatch(metrics: batchMetrics) }
    try ServiceGroup(
        [reader], monitoringOn: configuration[monitoring], metrics: metrics, health: readerMetrics.health,
        logger: logger
    ).run()
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
    let reading = try TopicReaderOptions.reader("consumer", group: group, configuration)
    try reading.check(logger)
}
