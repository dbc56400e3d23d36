import ExactlyOnce
import Kafka
import KafkaService
import ServiceKit

/// The settings of the alerts, and the services that they make.
enum AlertOptions {
    static let topic = Setting<String?>(
        "alerts-topic", default: "alerts",
        help: "The topic that each opening, acknowledgement and closing of an alert is written to; off writes none.")

    static let interval = Setting<Int>(
        "alert-interval", default: "1000", unit: "milliseconds",
        help: "The time between two evaluations of the alerts' rules, by one of all members.",
        rule: { 100...60_000 ~= $0 ? nil : "must be from 100 to 60000" })

    static let retention = Setting<Retention?>(
        "retain-alerts", default: "90d",
        help: "How long closed alerts are kept, by the day of their closing; off keeps them for ever.")

    static let all: [any AnySetting] = [topic, interval, retention, MarketOptions.hoursFile]

    /// Deletes closed alerts whose time is over; nil when they are kept for ever.
    static func retention(_ configuration: Configuration, metrics: MetricsRegistry) -> AlertRetention? {
        configuration[retention].map {
            AlertRetention($0, isPublishing: configuration[topic] != nil, metrics: metrics)
        }
    }

    /// The services that evaluate rules and publish alerts; they stop no program.
    static func services(
        _ configuration: Configuration, metrics registry: MetricsRegistry, logger: Logger
    ) throws -> [any Service] {
        let metrics = AlertMetrics(registry)
        let calendar = try MarketOptions.calendar(configuration)
        let interval = Duration.milliseconds(configuration[interval])
        let servers = configuration[KafkaOptions.bootstrapServers]
        let asking = try KafkaOptions.complete(.client(bootstrapServers: servers), from: configuration)
        let trades = configuration[KafkaOptions.topic]
        let evaluation = PeriodicService(
            "alerts", every: interval,
            database: try DatabaseOptions.configuration(configuration, applicationName: "kpi-service alerts"),
            logger: logger, complaint: "rules could not be evaluated; trying again"
        ) {
            let reader = LogEndsReader(asking, topic: trades, events: KafkaEvents(logger: logger))
            return AlertWork(
                AlertEvaluator(interval: interval, calendar: calendar, logger: logger, metrics: metrics) {
                    try reader.read()
                }, metrics)
        }
        guard let topic = configuration[topic] else { return [evaluation] }
        let sending = try KafkaOptions.complete(.producer(bootstrapServers: servers), from: configuration)
        let publication = PeriodicService(
            "alert topic", every: interval,
            database: try DatabaseOptions.configuration(configuration, applicationName: "kpi-service alert topic"),
            logger: logger, complaint: "alerts could not be published; trying again"
        ) {
            AlertOutbox(AlertTopic(topic, sending) { KafkaEvents(logger: logger, delivered: $0) }, metrics)
        }
        return [publication, evaluation]
    }

    /// Tries what the alerts need, and logs what it finds.
    static func check(_ configuration: Configuration, _ logger: Logger) throws {
        _ = try MarketOptions.calendar(configuration)
        guard let topic = configuration[topic] else { return }
        let client = try KafkaClient(
            settings: try KafkaOptions.complete(
                .client(bootstrapServers: configuration[KafkaOptions.bootstrapServers]), from: configuration),
            events: KafkaEvents(logger: logger))
        let partitions = try client.partitionCount(of: topic, timeout: .seconds(10))
        logger.info("the topic of alerts is there", ["kafka.topic": topic, "kafka.partitions": partitions])
    }
}
