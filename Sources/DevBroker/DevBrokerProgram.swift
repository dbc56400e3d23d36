import Kafka
import ServiceKit

private let partitions = Setting<Int>(
    "partitions", environment: "DEV_BROKER_PARTITIONS", default: "5", help: "How many partitions each topic has.",
    rule: { 1...2048 ~= $0 ? nil : "must be from 1 to 2048" })
private let topics = Setting<[String]>(
    "topics", environment: "DEV_BROKER_TOPICS", default: "trades,feed-events,alerts",
    help: "The topics, with commas between them.",
    rule: { $0.isEmpty ? "must name at least one topic" : nil })
private let addressFile = Setting<String>(
    "address-file", environment: "DEV_BROKER_ADDRESS_FILE",
    help: "A file to write the bootstrap address to, once the broker can be used.")

/// The program's settings and commands.
let devBrokerProgram = Program(
    name: "dev-broker",
    summary: "Hosts librdkafka's built-in Kafka cluster, for trying out without Kafka: never for production.",
    settings: [partitions, topics, addressFile],
    commands: [Program.Command("", "Host the cluster on a free port of 127.0.0.1, until SIGTERM.", run: host)])

@Sendable
private func host(_ configuration: Configuration, _ logger: Logger) throws {
    let cluster = try EmbeddedKafka()
    for topic in configuration[topics] {
        try cluster.createTopic(topic, partitions: configuration[partitions])
    }
    logger.notice(
        "an embedded broker for trying out: it keeps the last 5 MiB a partition in memory, and forgets all when it stops"
    )
    logger.info("listening", ["kafka.bootstrap": cluster.bootstrapServers])
    if let path = configuration[optional: addressFile] {
        try writeTextFile(cluster.bootstrapServers + "\n", to: path)
    }
    try ServiceGroup([Hosting(cluster: cluster)], logger: logger).run()
}

/// Keeps the cluster alive until the program is asked to stop.
private struct Hosting: Service {
    let name = "broker"
    let cluster: EmbeddedKafka

    func run(until shutdown: ShutdownSignal) {
        shutdown.wait()
    }
}
