import Foundation
import Kafka
import Postgres
import ServiceKit
import Synchronization

/// Reads what the screen shows, once a second, over one connection to each source, on a thread of its own. What cannot
/// be read, or is older than a few seconds, is missing in the snapshot.
final class StatusReader: Sendable {
    private struct Readings {
        var topicEnds: (offsets: [Int64], time: ContinuousClock.Instant)?
        var database: (reading: DatabaseReading, time: ContinuousClock.Instant)?
        var topic = RateMeter()
        var taken: [String: RateMeter] = [:]
    }
    private enum Life {
        case running, stopping, ended
    }

    private static let interval = Duration.seconds(1)
    private static let lifetime = Duration.seconds(5)

    private let facts: StatusSnapshot.Facts
    private let kafka: KafkaSettings
    private let database: PostgresConfiguration
    private let partitions: Int
    private let query: DatabaseQuery
    private let logger: Logger
    private let started = ContinuousClock.now
    private let readings = Mutex(Readings())
    private let life = ConditionLock(Life.running)

    /// Begins to read.
    ///
    /// - Parameters:
    ///   - cluster: the cluster's id, as the ledger knows it.
    ///   - logger: hears why a reading is missing.
    init(
        _ facts: StatusSnapshot.Facts, kafka: KafkaSettings, cluster: String, partitions: Int,
        database: PostgresConfiguration, logger: Logger
    ) {
        self.facts = facts
        self.kafka = kafka
        self.database = database
        self.partitions = partitions
        self.logger = logger
        query = DatabaseQuery(cluster: cluster, topic: facts.topic, symbols: facts.symbols)
        ServiceThread.start("status") { [self] in
            while life.withLock({ $0 == .running }) { readUntilFailure() }
            life.withLock { $0 = .ended }
        }
    }

    /// What is known now.
    var snapshot: StatusSnapshot {
        var snapshot = StatusSnapshot(facts: facts)
        let now = ContinuousClock.now
        snapshot.uptime = now - started
        snapshot.prices = facts.symbols.map { StatusSnapshot.Price(symbol: $0) }
        readings.withLock { readings in
            if let (offsets, time) = readings.topicEnds, now - time < Self.lifetime {
                snapshot.topicEnds = offsets
                snapshot.topic = readings.topic.counter
            }
            if let (reading, time) = readings.database, now - time < Self.lifetime {
                snapshot.positions = reading.positions
                snapshot.prices = reading.prices
                snapshot.kpis = reading.kpis
                snapshot.taken = readings.taken.mapValues(\.counter)
            }
        }
        return snapshot
    }

    /// Ends the connections; waits a few seconds for what is being read.
    func stop() {
        life.withLock { if $0 == .running { $0 = .stopping } }
        _ = life.wait(for: .seconds(5)) { $0 == .ended ? true : nil }
    }

    /// Waits for the next reading; false when there is to be none.
    private func pause() -> Bool {
        life.wait(for: Self.interval) { $0 == .running ? nil : true } == nil
    }

    /// Reads over new connections until the database fails. A topic that cannot be read leaves the tables' readings.
    private func readUntilFailure() {
        do {
            let client = try KafkaClient(settings: kafka)
            var connection = try PostgresConnection(database)
            try connection.execute("SET default_transaction_read_only = on; SET statement_timeout = '2s'")
            repeat {
                // Right after each other, or a lag would count what came in between.
                readTopic(client)
                try readDatabase(&connection)
            } while pause()
        } catch {
            logger.warning("the tables cannot be read", ["error": "\(error)"])
            _ = pause()
        }
    }

    private func readTopic(_ client: KafkaClient) {
        do {
            let ends = try (0..<partitions).map { partition in
                let place = TopicPartition(topic: facts.topic, partition: Int32(partition))
                return try client.watermarks(place, timeout: .seconds(2)).high
            }
            readings.withLock {
                $0.topicEnds = (ends, .now)
                $0.topic.add(ends.reduce(0, +))
            }
        } catch {
            logger.warning("the topic cannot be read", ["error": "\(error)"])
        }
    }

    private func readDatabase(_ connection: inout PostgresConnection) throws {
        let reading = try query.run(&connection)
        readings.withLock {
            $0.database = (reading, .now)
            for (reader, total) in reading.taken { $0.taken[reader, default: RateMeter()].add(total) }
        }
    }
}

/// Makes a rate of a number that rises, over its last five readings.
struct RateMeter: Sendable {
    private var readings: [(time: ContinuousClock.Instant, total: Int64)] = []

    /// The last total, and the rate once there are two readings.
    var counter: StatusSnapshot.Counter {
        guard let first = readings.first, let last = readings.last else { return StatusSnapshot.Counter() }
        let seconds = (last.time - first.time) / .seconds(1)
        let rate = seconds > 0 ? Double(max(0, last.total - first.total)) / seconds : nil
        return StatusSnapshot.Counter(total: last.total, perSecond: rate)
    }

    mutating func add(_ total: Int64, at time: ContinuousClock.Instant = .now) {
        readings.append((time, total))
        if readings.count > 5 { readings.removeFirst() }
    }
}
