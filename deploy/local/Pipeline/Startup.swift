import Foundation
import Kafka
import KafkaService
import LocalServers
import Postgres
import ServiceKit
import Synchronization

/// Starts the parts of the pipeline one after the other, says each step, and stops what was started in reverse.
///
/// Readers start before the producer and stop after it, so that what it flushes is still taken.
final class Startup: Sendable {
    private static let database = "tickstream"
    private static let alertsTopic = "alerts"
    private static let simulated = [
        "AAPL", "AMZN", "BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "OANDA:EUR_USD", "IC MARKETS:1",
    ]
    private static let live = Array(simulated.prefix(4))

    private struct Servers {
        var postgres: PostgresServer?
        var kafka: KafkaServer?
        var isComplete = false
    }
    /// The broker that is used, and what the programs must be told about it.
    private struct Broker {
        let servers: String
        let description: String
        var isEmbedded = false
    }

    private let configuration: Configuration
    private let directory: String
    private let say: @Sendable (String) -> Void
    private let processes: PipelineProcesses
    private let servers = Mutex(Servers())
    private let deaths: DeathList

    /// - Parameter directory: the absolute path of the data directory, which exists.
    init(
        _ configuration: Configuration, directory: String, say: @escaping @Sendable (String) -> Void
    ) throws {
        self.configuration = configuration
        self.directory = directory
        self.say = say
        let deaths = DeathList()
        self.deaths = deaths
        let logs = "\(directory)/log"
        // Each run's logs are its own.
        try? FileManager.default.removeItem(atPath: logs)
        processes = try PipelineProcesses(directory: logs, onDeath: deaths.add)
    }

    /// What died first although nobody asked it to; nil while all goes well.
    var death: PipelineFailure? {
        if let death = deaths.first { return PipelineFailure(death.description) }
        return servers.withLock { servers in
            guard servers.isComplete else { return nil }
            if let postgres = servers.postgres, postgres.pid == nil {
                return PipelineFailure("PostgreSQL has ended; the end of \(postgres.logFile):\n\(postgres.lastLines)")
            }
            if let kafka = servers.kafka, kafka.pid == nil {
                return PipelineFailure("Kafka has ended; the end of \(kafka.logFile):\n\(kafka.lastLines)")
            }
            return nil
        }
    }

    /// What to do after a failure.
    var advice: String {
        "All logs are in \(processes.directory). 'make run' goes on where this run stopped; 'make clean-run' begins anew."
    }

    /// Starts everything; returns the reader of its state. What was started before an error is the caller's to stop.
    func start() async throws -> StatusReader {
        let postgres = try await startPostgres()
        let broker = try await startBroker()
        let topic = configuration[KafkaOptions.topic]
        let kafka = try KafkaOptions.complete(
            .client(bootstrapServers: broker.servers), from: configuration)
        let (cluster, partitions) = try await prepareTopic(
            topic, kafka, partitions: configuration[PipelineOptions.partitions])
        _ = try await prepareTopic(configuration[KafkaOptions.eventsTopic], kafka, partitions: 1)
        _ = try await prepareTopic(Self.alertsTopic, kafka, partitions: 1)
        let databaseURL = postgres.connectionString(database: Self.database)
        try await processes.migrate(databaseURL: databaseURL)
        try await postgres.createUsers()
        say("Tables      the schema is up to date")

        // The embedded cluster is a new one in each run, its rows from the run before are wanted nevertheless.
        let acceptsNewCluster = broker.isEmbedded || configuration[PipelineOptions.acceptNewCluster]
        if !acceptsNewCluster { try await requireKnownCluster(cluster, topic, databaseURL) }
        try startReaders(broker, topic, postgres, acceptsNewCluster: acceptsNewCluster)
        let (feed, symbols) = try await startFeed(broker, topic)
        servers.withLock { $0.isComplete = true }
        var topicCommand = "kcat -C -b \(broker.servers) -t \(topic) -o end"
        if let file = configuration[optional: KafkaOptions.propertiesFile] {
            topicCommand += " -F \(shellQuoted(file))"
        }
        let facts = StatusSnapshot.Facts(
            broker: broker.description, feed: feed, topic: topic, symbols: symbols,
            databaseCommand: "PGPASSFILE=\(shellQuoted(postgres.passwordFile)) psql -h 127.0.0.1 -p \(postgres.port)"
                + " -U \(PostgresServer.user) \(Self.database)",
            topicCommand: topicCommand, logs: processes.directory)
        return StatusReader(
            facts, kafka: kafka, cluster: cluster, partitions: partitions,
            database: try PostgresConfiguration(databaseURL, applicationName: "local-pipeline"), logger: try logger())
    }

    /// Stops what was started: first no more comes in, then what came in is stored, then the servers.
    func stop() async {
        for (name, status) in await processes.stopAll() where !status.isSuccess {
            say("\(name) did not stop as it should, it \(status): see \(processes.directory)/\(name).log")
        }
        let servers = servers.withLock { servers in
            servers.isComplete = false
            return servers
        }
        await servers.kafka?.stop()
        await servers.postgres?.stop()
    }

    private func startPostgres() async throws -> PostgresServer {
        let port = try freePort(PipelineOptions.postgresPort)
        let postgres = try PostgresServer(directory: "\(directory)/postgres", port: port, durability: .durable)
        servers.withLock { $0.postgres = postgres }
        try await postgres.start()
        let configuration = try PostgresConfiguration(
            postgres.connectionString(), applicationName: "local-pipeline")
        let isThere = try await blocking {
            var connection = try PostgresConnection(configuration)
            let rows = try connection.query(
                "SELECT FROM pg_database WHERE datname = $1", parameters: [.text(Self.database)])
            return rows.rowCount > 0
        }
        if !isThere { try await postgres.createDatabase(Self.database) }
        say("PostgreSQL  on 127.0.0.1:\(postgres.port), data in \(directory)/postgres")
        return postgres
    }

    private func startBroker() async throws -> Broker {
        if let given = configuration[optional: PipelineOptions.bootstrapServers] {
            say("Broker      \(given), as given")
            return Broker(servers: given, description: "Kafka at \(given), as given")
        }
        if let home = try KafkaHome.find() {
            let port = try freePort(PipelineOptions.kafkaPort)
            let kafka = try KafkaServer(home: home, directory: "\(directory)/kafka", port: port)
            servers.withLock { $0.kafka = kafka }
            say("Broker      starting Kafka from \(home.path) …")
            try await kafka.start()
            say("Broker      Kafka on \(kafka.bootstrapServers), data in \(directory)/kafka")
            return Broker(
                servers: kafka.bootstrapServers, description: "Kafka from \(home.path) on \(kafka.bootstrapServers)")
        }
        let servers = try await processes.startDevBroker(
            partitions: configuration[PipelineOptions.partitions],
            arguments: [
                "--topics",
                "\(configuration[KafkaOptions.topic]),\(configuration[KafkaOptions.eventsTopic]),\(Self.alertsTopic)",
            ])
        say("Broker      embedded, on \(servers); KAFKA_HOME=… or KAFKA_BOOTSTRAP_SERVERS=… for a real Kafka")
        return Broker(
            servers: servers, description: "embedded, for trying out: it forgets the topic when it stops (\(servers))",
            isEmbedded: true)
    }

    /// Creates the topic unless it is there. On a given cluster its replication is the cluster's default.
    private func prepareTopic(
        _ topic: String, _ kafka: KafkaSettings, partitions wanted: Int
    ) async throws -> (cluster: String, partitions: Int) {
        let (cluster, partitions, isNew) = try await blocking {
            let client = try KafkaClient(settings: kafka)
            let cluster: String
            do {
                cluster = try client.clusterID(timeout: .seconds(20))
            } catch {
                throw PipelineFailure(
                    "\(error): is a Kafka running there, and do its listeners want TLS or a login"
                        + " (KAFKA_PROPERTIES_FILE)?")
            }
            var isNew = false
            do {
                _ = try client.metadata(of: topic, timeout: .seconds(20))
            } catch let error as KafkaError where error.name == "UNKNOWN_TOPIC_OR_PART" {
                let creation = try KafkaAdmin(client).createTopic(topic, partitions: wanted, replication: -1)
                isNew = creation == .created
            }
            return (cluster, try client.partitionCount(of: topic, timeout: .seconds(20)), isNew)
        }
        say("Topic       \(topic), \(partitions) partition\(partitions == 1 ? "" : "s")\(isNew ? ", created" : "")")
        return (cluster, partitions)
    }

    /// The readers would refuse to begin in another cluster than their rows are from; here that can be said in the words
    /// of `make run`.
    private func requireKnownCluster(_ cluster: String, _ topic: String, _ databaseURL: String) async throws {
        let database = try PostgresConfiguration(databaseURL, applicationName: "local-pipeline")
        let isForeign = try await blocking {
            var connection = try PostgresConnection(database)
            let readers = try connection.query(
                """
                SELECT reader FROM offset_ledger JOIN topic_log USING (log_id) WHERE topic = $1
                GROUP BY reader HAVING NOT bool_or(cluster_id = $2)
                """, parameters: [.text(topic), .text(cluster)])
            return readers.rowCount > 0
        }
        guard isForeign else { return }
        throw PipelineFailure(
            "the tables have trades from another broker than this one: with ACCEPT_NEW_CLUSTER=true, once, 'make run' goes"
                + " on in this one and keeps them; 'make clean-run' forgets them")
    }

    private func startReaders(
        _ broker: Broker, _ topic: String, _ postgres: PostgresServer, acceptsNewCluster: Bool
    ) throws {
        let arguments = ["--trades-topic", topic] + (acceptsNewCluster ? ["--accept-new-cluster"] : [])
        let count = configuration[PipelineOptions.consumers]
        try processes.startKPIService(
            bootstrap: broker.servers, databaseURL: postgres.connectionString(database: Self.database, of: .kpiService),
            arguments: arguments)
        for index in 1...count {
            try processes.startConsumer(
                bootstrap: broker.servers,
                databaseURL: postgres.connectionString(database: Self.database, of: .consumer),
                index: count == 1 ? nil : index,
                arguments: arguments + ["--events-topic", configuration[KafkaOptions.eventsTopic]])
        }
        say("Readers     kpi-service, \(count == 1 ? "consumer" : "\(count) consumers")")
    }

    /// Starts the producer, and for it the simulator where there is no token for the live feed.
    private func startFeed(_ broker: Broker, _ topic: String) async throws -> (feed: String, symbols: [String]) {
        let token = configuration[PipelineOptions.feedToken]
        let isLive = !token.isEmpty
        let symbols = configuration[optional: PipelineOptions.symbols] ?? (isLive ? Self.live : Self.simulated)
        let rate = configuration[PipelineOptions.rate]
        let address =
            isLive ? "wss://ws.finnhub.io" : try await processes.startSimulator(["--rate", String(rate)])
        let feed = isLive ? "Finnhub, \(address)" : "simulated market, \(rate) trades/s, \(address)"
        try processes.startProducer(
            feed: address, bootstrap: broker.servers, symbols: symbols,
            arguments: ["--trades-topic", topic, "--events-topic", configuration[KafkaOptions.eventsTopic]],
            environment: ["SPOOL_DIRECTORY": "\(directory)/spool"].merging(
                isLive ? ["FINNHUB_TOKEN": token] : [:]
            ) { $1 })
        say("Feed        \(feed)")
        return (feed, symbols)
    }

    /// The port that a setting asks for, if any.
    private func freePort(_ setting: Setting<Int>) throws -> Int? {
        guard let port = configuration[optional: setting] else { return nil }
        guard FreePort.isFree(port) else {
            throw PipelineFailure(
                "port \(port) of 127.0.0.1 is taken: stop what listens there (ss -ltnp 'sport = :\(port)' tells),"
                    + " or set \(setting.environment) to another port or to nothing")
        }
        return port
    }

    /// A log of this program's own, beside those of the others: the terminal is taken.
    private func logger() throws -> Logger {
        let path = "\(processes.directory)/local-pipeline.log"
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw PipelineFailure("cannot write to \(path)") }
        return Logger(label: "local-pipeline") { try? file.write(contentsOf: Data($0.utf8)) }
    }

    private func shellQuoted(_ text: String) -> String {
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+:,".contains($0)) }
        return isPlain ? text : "'\(text.replacingOccurrences(of: "'", with: "'\\''"))'"
    }
}

/// Programs that ended by themselves, in that order.
private final class DeathList: Sendable {
    private let deaths = Mutex<[PipelineProcess.Death]>([])
    var first: PipelineProcess.Death? { deaths.withLock { $0.first } }

    @Sendable func add(_ death: PipelineProcess.Death) { deaths.withLock { $0.append(death) } }
}
