import ExactlyOnce
import Glibc
import Postgres
import TradeModel

/// Makes rollups anew from the trades while KPI services run, an hour of all symbols at a time.
///
/// The rollup tables are locked against writers, and not against readers. So each transaction of a KPI service is wholly before
/// or wholly after, and its positions, which tell what the rollups are made of, stand still but for records that count in none.
struct Rebuild: ~Copyable {
    /// How long things may take.
    struct Limits {
        /// An hour's statement: meanwhile the KPI services wait.
        var hold = Duration.seconds(20)
        /// In all, for locks and for the consumer to store what is counted already.
        var patience = Duration.seconds(60)
        /// For the consumer, while the KPI services wait.
        var catchUp = Duration.seconds(1)
    }

    /// What became of one hour.
    struct Hour {
        let hour: Timestamp
        /// Windows that there are now.
        let windows: Int
        /// Those of them that were otherwise, and those that are gone.
        let changed: Int
        /// How long the KPI services were kept waiting.
        let held: Duration
    }

    private var connection: PostgresConnection
    private let repeats: RepeatRule
    private let limits: Limits

    init(_ connection: consuming PostgresConnection, repeats: RepeatRule, limits: Limits = Limits()) {
        self.connection = connection
        self.repeats = repeats
        self.limits = limits
    }

    /// Makes all hours of the range anew, the first one first: those with trades, and those with rollups.
    /// - Parameter tell: hears of each hour that is done.
    /// - Throws: `RebuildError`, `PostgresError`. Hours that were done stay done; the others are as before.
    mutating func run(_ range: HourRange, tell: (Hour) -> Void) throws {
        try requireTrades(range)
        for hour in try hours(range) { tell(try rebuild(hour)) }
    }

    /// Refuses a range of which trades are gone: a rollup is never replaced by less.
    private mutating func requireTrades(_ range: HourRange) throws {
        guard try connection.query("SELECT FROM counted_position LIMIT 1").rowCount == 1 else {
            throw RebuildError.nothingCounted
        }
        let gone = try connection.query(
            """
            SELECT min(day), max(day), count(*) FROM (
                SELECT DISTINCT (window_start AT TIME ZONE 'UTC')::date AS day FROM trade_rollup_1h
                WHERE \(range.contains("window_start"))) AS counted
            WHERE EXISTS (SELECT FROM forgotten_day WHERE daily_table = 'trade_data_finhub' AND day = counted.day)
                OR NOT EXISTS (SELECT FROM stored_trade WHERE "timestamp" >= day AT TIME ZONE 'UTC'
                    AND "timestamp" < (day + 1) AT TIME ZONE 'UTC')
            """)
        if let first = gone.string(0, 0), let last = gone.string(0, 1) {
            throw RebuildError.tradesAreGone(first: first, last: last, days: gone.int64(0, 2) ?? 0)
        }
    }

    private mutating func hours(_ range: HourRange) throws(PostgresError) -> [Timestamp] {
        func hours(_ moment: String, of table: String) -> String {
            "SELECT \(RollupSQL.window(.hour, of: moment)) AS hour FROM \(table) WHERE \(range.contains(moment))"
        }
        let sources =
            [hours("\"timestamp\"", of: "stored_trade")]
            + Grain.allCases.map { hours("window_start", of: RollupSQL.table($0)) }
        let rows = try connection.query(
            "SELECT extract(epoch FROM hour)::bigint FROM (\(sources.joined(separator: " UNION "))) AS each ORDER BY 1")
        return (0..<rows.rowCount).map { Timestamp(milliseconds: rows.int64($0, 0)! * 1000) }
    }

    private mutating func rebuild(_ hour: Timestamp) throws -> Hour {
        let deadline = ContinuousClock.now + limits.patience
        while true {
            let isLate = ContinuousClock.now >= deadline
            do {
                if let done = try attempt(hour, isLast: isLate) { return done }
            } catch let error as PostgresError where error.sqlState == "57014" {
                throw RebuildError.takesTooLong(hour)
            } catch let error as PostgresError where error.isRetriable && !error.isConnectionLost && !isLate {
                // A lock that was not to be had: between two attempts, whoever waits behind goes on.
            }
            try connection.rollback()
            usleep(200_000)
        }
    }

    /// - Returns: nil when the consumer has not come far enough, and there is time left to wait for it.
    private mutating func attempt(_ hour: Timestamp, isLast: Bool) throws -> Hour? {
        let range = HourRange(hour: hour)
        try connection.begin(
            limits: TransactionLimits(statement: limits.hold, lock: .seconds(5), idle: .seconds(60)))
        // To compile the queries would only add to the time that the lock is held.
        try connection.execute("SET LOCAL jit = off; SET LOCAL work_mem = '64MB'")
        // In the order in which they are written.
        try connection.execute(
            """
            LOCK TABLE \(Grain.allCases.map(RollupSQL.table).joined(separator: ", ")) IN SHARE ROW EXCLUSIVE MODE
            """)
        let start = ContinuousClock.now
        while let place = try placeAhead() {
            guard ContinuousClock.now - start < limits.catchUp else {
                if isLast { throw RebuildError.consumerIsBehind(place) }
                return nil
            }
            usleep(20_000)
        }
        var (windows, changed) = (0, 0)
        for grain in Grain.allCases {
            let counts = try connection.query(statement(grain, range))
            windows += Int(counts.int64(0, 0) ?? 0)
            changed += Int(counts.int64(0, 1) ?? 0)
            if grain == .second {
                PeriodicFailpoint.inRebuild.reach(Int(hour.microseconds / Grain.hour.microseconds), &connection)
            }
        }
        // After the trades were read: what retention had deleted before that is told by now.
        let gone = try connection.query(
            """
            SELECT day FROM forgotten_day
            WHERE daily_table = 'trade_data_finhub' AND day = (\(hour.sql) AT TIME ZONE 'UTC')::date
            """)
        if let day = gone.string(0, 0) { throw RebuildError.tradesAreGone(first: day, last: day, days: 1) }
        try connection.commit()
        return Hour(hour: hour, windows: windows, changed: changed, held: ContinuousClock.now - start)
    }

    /// A place that is counted and not stored yet; nil where there is none.
    private mutating func placeAhead() throws(PostgresError) -> String? {
        let rows = try connection.query(
            """
            SELECT format('%s [%s], generation %s: kpi-service has counted %sup to %s, consumer has stored %s',
                topic, partition, generation, CASE WHEN source IS NOT NULL THEN source || ' ' END, counted,
                coalesce(stored::text, 'nothing')) FROM counted_ahead LIMIT 1
            """)
        return rows.string(0, 0)
    }

    /// Puts an hour's rollups of a grain in the place of those that are there; where they are equal, nothing is written.
    /// Seconds are made of trades, the others of the next finer ones.
    private func statement(_ grain: Grain, _ range: HourRange) -> String {
        let source =
            switch grain {
            case .second:
                """
                \(RollupSQL.rollups(.second)), '\(repeats.rawValue)' AS repeats FROM counted_trade
                WHERE \(range.contains("\"timestamp\""))\(repeats == .ignore ? " AND repeat = 0" : "")
                """
            case .minute: sums(.minute, of: .second, range)
            case .hour: sums(.hour, of: .minute, range)
            }
        let table = RollupSQL.table(grain)
        let values = RollupSQL.columns.split(separator: ",").map { "excluded.\($0.filter { !$0.isWhitespace })" }
        return """
            WITH made AS MATERIALIZED (SELECT \(source) GROUP BY 1, 2),
            gone AS (
                DELETE FROM \(table) AS kept WHERE \(range.contains("window_start")) AND NOT EXISTS (
                    SELECT FROM made WHERE made.symbol = kept.symbol AND made.window_start = kept.window_start)
                RETURNING 1
            ), changed AS (
                INSERT INTO \(table) AS kept (\(RollupSQL.columns)) SELECT \(RollupSQL.columns) FROM made
                ON CONFLICT (symbol, window_start) DO UPDATE SET (\(RollupSQL.columns)) = ROW (\(values.joined(separator: ", ")))
                WHERE kept::text <> excluded::text
                RETURNING 1
            )
            SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM gone) + (SELECT count(*) FROM changed)
            """
    }

    private func sums(_ grain: Grain, of finer: Grain, _ range: HourRange) -> String {
        """
        \(RollupSQL.sums(grain)), '\(repeats.rawValue)' AS repeats FROM \(RollupSQL.table(finer))
        WHERE \(range.contains("window_start"))
        """
    }
}

/// Why rollups were not made anew.
enum RebuildError: Error, CustomStringConvertible {
    case nothingCounted
    case tradesAreGone(first: String, last: String, days: Int64)
    case consumerIsBehind(String)
    case takesTooLong(Timestamp)

    var description: String {
        switch self {
        case .nothingCounted:
            "kpi-service has no position in any partition, so nothing is known to count: start it first"
        case .tradesAreGone(let first, let last, let days):
            "trades are gone of \(days) days from \(first) to \(last) that have rollups, as --retain makes them: a rollup "
                + "is never replaced by less; name a range without these days"
        case .consumerIsBehind(let place):
            "\(place): the rollups have what the raw table has not. Start the consumer, or wait until it has caught up; "
                + "where only one reader was reset, move the other likewise ('consumer ledger reset')"
        case .takesTooLong(let hour):
            "the hour from \(hour) cannot be made anew in the time that KPI services may wait; it is as before. Give it more "
                + "with --hold, which they survive, or stop them meanwhile"
        }
    }
}
