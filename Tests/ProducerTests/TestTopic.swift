import Foundation
import Kafka
import ServiceKit
import TestSupport
import Testing
import TradeModel

@testable import Producer

/// A directory of a producer's own, which goes with it.
final class TestDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("tickstream-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// A producer's spools, with a publisher's surroundings; what is published is read where it lies.
final class TestTopic: Sendable {
    let directory: TestDirectory
    let spools: Spools
    let events: FeedEventPublisher
    let metrics = MetricsRegistry()
    let counts: FeedCounts
    let shutdown = ShutdownSignal()

    static let quiet = Logger(label: "test", output: { _ in })

    /// - Parameter directory: that of a former one, to go on where it stopped.
    init(_ directory: TestDirectory? = nil, limits: Spool.Limits = Spool.Limits(bytes: 64 << 20)) throws {
        self.directory = try directory ?? TestDirectory()
        spools = try Spools(
            directory: try SpoolDirectory(self.directory.path, source: "test"), tradesTopic: "trades",
            eventsTopic: "feed-events", limits: limits)
        counts = FeedCounts(metrics)
        events = try FeedEventPublisher(
            spool: spools.events, source: ShortText("test")!, at: Timestamp(microseconds: 5000), logger: Self.quiet,
            metrics: metrics)
    }

    /// How many trades and events have been published.
    var tradeCount: Int { spools.trades.written }
    var eventCount: Int { spools.events.written }

    /// A watch over symbols, by the built-in market hours unless told otherwise.
    func silence(of symbols: [String] = [], _ calendar: MarketCalendar = .builtIn) -> SilenceWatch {
        SilenceWatch(
            calendar: calendar, symbols: symbols.map { ShortText($0)! }, events: events, logger: Self.quiet,
            metrics: metrics)
    }

    /// A publisher whose numbers begin at 1001.
    func publisher(silence: SilenceWatch? = nil, logger: Logger = TestTopic.quiet) throws -> TradePublisher {
        try TradePublisher(
            spool: spools.trades, source: ShortText("test")!, at: Timestamp(microseconds: 1000), counts: counts,
            silence: silence ?? self.silence(), logger: logger)
    }

    /// The value of a metric of whole numbers, by its name and labels as they are rendered.
    func metric(_ name: String) -> Int? {
        metrics.render().split(separator: "\n").first { $0.hasPrefix("\(name) ") }
            .flatMap { Int($0.dropFirst(name.count + 1)) }
    }

    /// A report over what is counted here, of which Kafka has acknowledged everything.
    func report(every interval: Duration = .seconds(60)) -> FeedReport {
        FeedReport(
            counts: counts, events: events, interval: interval,
            acknowledged: { [counts] in counts.spooled.value }, refused: { 0 })
    }

    /// The delivery of what is published to an embedded cluster.
    func delivery(
        to cluster: EmbeddedKafka, counters: Duration = .seconds(3600), health: Health = Health(),
        logger: Logger = TestTopic.quiet, stallTime: Duration = .seconds(10),
        _ change: @escaping @Sendable (inout KafkaSettings) -> Void = { _ in }
    ) -> DeliveryService {
        let servers = cluster.bootstrapServers
        return DeliveryService(
            spools: spools, events: events, counts: counts, countersInterval: counters, logger: logger,
            metrics: metrics, health: health, stallTime: stallTime
        ) { events in
            var settings = KafkaSettings.producer(bootstrapServers: servers)
            change(&settings)
            return try KafkaProducer(settings: settings, events: events)
        }
    }

    /// All events that nobody has acknowledged, from the first on.
    func feedEvents() throws -> [FeedEvent] {
        try Self.records(of: spools.events).map { record in
            #expect(record.key == "test")
            return try FeedEvent(json: Array(record.value.utf8).span)
        }
    }

    /// The keys and values of all trades that nobody has acknowledged, from the first on.
    func records() throws -> [(key: String, value: String)] { try Self.records(of: spools.trades) }

    static func records(of spool: Spool) throws -> [(key: String, value: String)] {
        let reader = SpoolReader(spool)
        var records: [(key: String, value: String)] = []
        while let record = try reader.next() {
            records.append((String(decoding: record.key, as: UTF8.self), String(decoding: record.value, as: UTF8.self)))
            reader.advance()
        }
        return records
    }
}
