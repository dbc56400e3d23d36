import ExactlyOnce
import Kafka
import KafkaService
import Postgres
import ServiceKit

extension Program.Command {
    /// `consumer ledger show`
    static let ledgerShow = Program.Command(
        "ledger show", "Show where each reader stands in each partition, beside what Kafka says of the log.",
        details: """
            Shown is the position that counts: of the rows that a reader has of a partition, that of the greatest
            generation. log_start, log_end and lag are Kafka's; they are missing of other clusters than the one that the
            brokers named are of, and when Kafka cannot be asked. A fault says why a partition is not read on until it is
            reset ('ledger reset').
            """,
        settings: [LedgerShow.reader, LedgerShow.topic, LedgerShow.partition, OutputTable.form],
        ignoring: readingOptions + [KafkaOptions.topic], run: LedgerShow.run)
}

private enum LedgerShow {
    static let reader = Setting<String>("reader", help: "Only this reader's, such as consumer or kpi-service.")
    static let topic = Setting<String>("topic", help: "Only this topic's.")
    static let partition = Setting<Int>(
        "partition", help: "Only this partition's.", rule: { 0...2047 ~= $0 ? nil : "must be from 0 to 2047" })

    @Sendable static func run(_ configuration: Configuration, _ logger: Logger) throws {
        let database = try DatabaseOptions.configuration(configuration, applicationName: "consumer ledger")
        try requireSchema(of: database)
        var connection = try PostgresConnection(database)
        let positions = try LedgerPosition.current(
            LedgerPosition.Selection(
                reader: configuration[optional: reader], topic: configuration[optional: topic],
                partition: configuration[optional: partition].map { Int32($0) }),
            &connection)
        let logs = ends(of: positions, try kafka(configuration), logger)
        var table = OutputTable(columns: [
            "reader", "topic", "cluster", "generation", "partition", "next_offset", "log_start", "log_end", "lag",
            "epoch", "owner", "updated_at", "fault",
        ])
        for position in positions {
            let log = logs[position]
            table.rows.append([
                .text(position.reader), .text(position.topic), .text(position.cluster),
                .number(Int64(position.generation)), .number(Int64(position.partition)),
                .number(position.nextOffset), .init(log?.low), .init(log?.high),
                .init(log.map { $0.high - position.nextOffset }), .number(position.epoch), .init(position.owner),
                .text(position.updatedAt), .init(position.fault),
            ])
        }
        table.write(as: configuration[OutputTable.form])
    }

    private static func kafka(_ configuration: Configuration) throws -> KafkaSettings {
        try KafkaOptions.complete(
            .client(bootstrapServers: configuration[KafkaOptions.bootstrapServers]), from: configuration)
    }

    /// The first offset and the one behind the last, as far as Kafka says.
    private static func ends(
        of positions: [LedgerPosition], _ settings: KafkaSettings, _ logger: Logger
    ) -> [LedgerPosition: (low: Int64, high: Int64)] {
        var ends: [TopicPartition: (low: Int64, high: Int64)] = [:]
        var found: [LedgerPosition: (low: Int64, high: Int64)] = [:]
        do {
            let client = try KafkaClient(settings: settings)
            let cluster = try client.clusterID(timeout: .seconds(5))
            for position in positions where position.cluster == cluster {
                let place = TopicPartition(topic: position.topic, partition: position.partition)
                do throws(KafkaError) {
                    if ends[place] == nil { ends[place] = try client.watermarks(place, timeout: .seconds(5)) }
                    found[position] = ends[place]
                } catch  where !error.isRetriable {
                    logger.warning("a log is left out", ["error": "\(error)"])
                }
            }
        } catch {
            logger.warning("the columns of the log are left out: Kafka cannot be asked", ["error": "\(error)"])
        }
        return found
    }
}
