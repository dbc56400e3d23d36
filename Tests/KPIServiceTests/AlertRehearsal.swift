import DatabaseTestSupport
import Postgres
import ServiceKit
import Synchronization
import Testing
import TradeModel

@testable import KPIService

/// Rules, the tables that they measure, and an evaluator, at a time of the test's making.
final class AlertRehearsal {
    /// Wednesday, 10:30 in New York: every market is open.
    static let start = time("2026-11-18T15:30:00Z")

    let database: TestDatabase
    let metrics = MetricsRegistry()
    let lines = Lines()
    private(set) var now = start
    /// What Kafka says; nil while it is away.
    var ends: [(low: Int64, high: Int64)]? = [(0, 100)]
    private var evaluator: AlertEvaluator
    private var connection: PostgresConnection

    final class Lines: Sendable {
        private let all = Mutex<[String]>([])
        @Sendable func append(_ line: String) { all.withLock { $0.append(line) } }
        func count(_ words: String) -> Int { all.withLock { $0.count { $0.contains(words) } } }
    }

    struct Away: Error {}

    /// - Parameter rule: the columns and values of a rule, in SQL, that is the only one.
    init(_ database: TestDatabase, rule: String? = nil) throws {
        self.database = database
        connection = try database.connect()
        evaluator = Self.evaluator(nil, metrics, lines)
        try connection.execute(
            """
            DELETE FROM threshold WHERE kind IS NOT NULL;
            INSERT INTO topic_log (log_id, cluster_id, topic) VALUES (1, 'cluster', 'trades');
            INSERT INTO offset_ledger (reader, log_id, partition, epoch, next_offset, owner_pid)
                VALUES ('consumer', 1, 0, 1, 100, 1), ('kpi-service', 1, 0, 1, 100, 1)
            """)
        if let rule { try add(rule) }
        restart()
        // The first evaluation only learns where the topic ends.
        try step()
    }

    /// Adds a rule: `kind, value, closes_at` and more columns with their values, as `kind = 'rate_above', value = 4`.
    func add(_ rule: String, id: Int = 201) throws {
        let pairs = rule.split(separator: ", ").map { $0.split(separator: " = ", maxSplits: 1) }
        try connection.execute(
            """
            INSERT INTO threshold (id, name, unit, \(pairs.map { String($0[0]) }.joined(separator: ", ")))
                VALUES (\(id), 'rule \(id)', '', \(pairs.map { String($0[1]) }.joined(separator: ", ")))
            """)
    }

    private static func evaluator(
        _ rehearsal: AlertRehearsal?, _ metrics: MetricsRegistry, _ lines: Lines
    ) -> AlertEvaluator {
        AlertEvaluator(
            interval: .seconds(1), calendar: .builtIn, logger: Logger(label: "test", output: lines.append),
            metrics: AlertMetrics(metrics)
        ) { [weak rehearsal] in
            guard let ends = rehearsal?.ends else { throw Away() }
            return LogEnds(cluster: "cluster", topic: "trades", partitions: ends)
        }
    }

    /// Another process goes on.
    func restart() {
        evaluator = Self.evaluator(self, metrics, lines)
    }

    /// Evaluates so many seconds later.
    @discardableResult
    func step(_ seconds: Int = 1) throws -> Bool { try step(milliseconds: seconds * 1000) }

    @discardableResult
    func step(milliseconds: Int) throws -> Bool {
        now = Timestamp(microseconds: now.microseconds + Int64(milliseconds) * 1000)
        return try evaluate()
    }

    /// Evaluates once more at the same time.
    func evaluate() throws -> Bool { try evaluator.run(&connection, at: now) }

    /// Jumps to a time, at which the rollups are complete.
    func jump(to time: Timestamp) throws {
        now = Timestamp(microseconds: time.microseconds - 1_000_000)
        try connection.execute("UPDATE alert_evaluation SET evaluated_at = NULL, log_ends_at = NULL")
        _ = try evaluate()
        try step()
    }

    /// Up to when trades count in the next evaluation, one second from now.
    var until: Timestamp { Timestamp(microseconds: now.microseconds - AlertEvaluator.settling) }

    func execute(_ sql: String) throws { try connection.execute(sql) }

    /// Puts a rollup into the tables of seconds, minutes and hours.
    func trade(_ symbol: String, at time: Timestamp, count: Int = 1) throws {
        for (table, unit) in [("1s", "second"), ("1m", "minute"), ("1h", "hour")] {
            try connection.execute(
                """
                INSERT INTO trade_rollup_\(table) AS kept (symbol, window_start, trades, volume, price_sum, notional,
                    open, open_time, open_id, high, low, close, close_time, close_id)
                VALUES ('\(symbol)', date_trunc('\(unit)', timestamptz '\(time)'), \(count), 1, 1, 1, 1, '\(time)', 1,
                    1, 1, 1, '\(time)', 1)
                ON CONFLICT (symbol, window_start) DO UPDATE SET trades = kept.trades + excluded.trades,
                    close_time = greatest(kept.close_time, excluded.close_time)
                """)
        }
    }

    /// Puts what a transaction of the consumer brought.
    func batch(at time: Timestamp, rejected: Int = 0, bucket: Int? = nil) throws {
        let hops = ["feed_to_kafka", "kafka_to_consumer", "consumer_to_db", "feed_to_db"]
        let columns = hops.flatMap { hop in ["sum", "negative", "buckets", "counts"].map { "\(hop)_\($0)" } }
        let (buckets, counts) = (bucket.map { "'{\($0)}'" } ?? "'{}'", bucket == nil ? "'{}'" : "'{7}'")
        let values = hops.flatMap { _ in ["0", "0", buckets, counts] }
        try connection.execute(
            """
            INSERT INTO ingest_batch (log_id, kafka_partition, first_offset, next_offset, committed_at, row_count,
                rejected, resent, \(columns.joined(separator: ", ")))
            VALUES (1, 0, (SELECT count(*) FROM ingest_batch), 1, '\(time)', 7, \(rejected), 0,
                \(values.joined(separator: ", ")))
            """)
    }

    /// The alerts in their order, as `state symbol`.
    func alerts() throws -> [String] {
        try database.rows("SELECT state || coalesce(' ' || symbol, '') FROM alert ORDER BY id").map { $0[0] }
    }

    /// The changes in their order.
    func transitions() throws -> [String] {
        try database.rows("SELECT state FROM alert_transition ORDER BY sequence").map { $0[0] }
    }
}

/// Reads `2026-11-18T15:30:00Z`.
func time(_ text: String) -> Timestamp {
    let numbers = text.split { !$0.isNumber }.map { Int64($0)! }
    var days: Int64 = 0
    for year in 1970..<numbers[0] { days += year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365 }
    let isLeap = numbers[0] % 4 == 0
    let months: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    days += months.prefix(Int(numbers[1]) - 1).reduce(0, +) + numbers[2] - 1
    return Timestamp(microseconds: (days * 86_400 + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]) * 1_000_000)
}
