import Foundation
import KafkaService
import LocalServers
import ServiceKit

/// The settings of `make run`.
enum PipelineOptions {
    static let directory = Setting<String>(
        "data-directory", default: ".local", help: "Where databases, topics and logs are kept from run to run.")
    static let bootstrapServers = Setting<String>(
        "kafka-bootstrap-servers",
        help: "A running Kafka to use, as host:port with commas; else one is started from KAFKA_HOME, /opt/kafka or "
            + "PATH, else the embedded broker.")
    static let acceptNewCluster = Setting<Bool>(
        "accept-new-cluster", default: "false",
        help: "Begin in a Kafka whose trades these tables have never seen, although they have others; those stay.")
    static let partitions = Setting<Int>(
        "partitions", default: "5", help: "How many partitions the topic of the trades gets when it is created.",
        rule: { 1...2048 ~= $0 ? nil : "must be from 1 to 2048" })
    static let feedToken = Setting<String>(
        "finnhub-token", default: "", isSecret: true,
        help: "Finnhub's API key for the live feed; without one the market is simulated.")
    static let symbols = Setting<[String]>(
        "symbols", help: "The symbols to subscribe to, with commas; by default six simulated or four live ones.",
        rule: { $0.isEmpty ? "must name at least one symbol" : nil })
    static let rate = Setting<Int>(
        "rate", default: "200", unit: "trades a second", help: "How many trades the simulated market sends.",
        rule: { $0 > 0 ? nil : "must be above 0" })
    static let consumers = Setting<Int>(
        "consumers", default: "1", help: "How many consumers share the partitions.",
        rule: { 1...64 ~= $0 ? nil : "must be from 1 to 64" })
    static let postgresPort = Setting<Int>(
        "postgres-port", help: "The port of PostgreSQL on 127.0.0.1; a free one by default.", rule: portRule)
    static let kafkaPort = Setting<Int>(
        "kafka-port", help: "The port of a Kafka started here, on 127.0.0.1; a free one by default.", rule: portRule)
    static let maxSeconds = Setting<Int>(
        "max-seconds", unit: "seconds", help: "Stop after so long; by default not before Ctrl-C.",
        rule: { $0 > 0 ? nil : "must be above 0" })

    static let all: [any AnySetting] = [
        directory, bootstrapServers, acceptNewCluster, KafkaOptions.propertiesFile, KafkaOptions.topic,
        KafkaOptions.eventsTopic, partitions, feedToken, symbols, rate, consumers, postgresPort, kafkaPort, maxSeconds,
    ]

    private static let portRule: @Sendable (Int) -> String? = {
        1...65_535 ~= $0 ? nil : "must be from 1 to 65535"
    }
}

/// The program's settings and its one command.
let pipelineProgram = Program(
    name: "local-pipeline",
    summary: "Runs the whole pipeline on this machine, from the feed to the tables, and shows how it does.",
    settings: PipelineOptions.all,
    commands: [Program.Command("", "Start everything, show the state until Ctrl-C, stop everything.", run: runPipeline)]
)

@Sendable
private func runPipeline(_ configuration: Configuration, _ logger: Logger) throws {
    // What this program says, it says in words on the terminal; the log is for what goes wrong beyond that.
    let quiet = Logger(label: logger.label, level: max(logger.level, .error), format: logger.format)
    do {
        try ServiceGroup([PipelineRun(configuration)], logger: quiet, stopDeadline: .seconds(180)).run()
    } catch let error as PipelineFailure {
        FileHandle.standardError.write(Data("\(logger.label): \(error)\n".utf8))
        exit(1)
    }
    // Not as other programs end: what is registered for the end removes directories.
    exit(0)
}
