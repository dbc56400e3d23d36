import Glibc
import Postgres
import TradeModel

/// Compares rollups, views and counts with plain SQL over the trades, in one snapshot, so that it can be done at any time.
struct Verification: ~Copyable {
    /// How long to wait for a snapshot in which the consumer has stored what is counted, and for what is on its way.
    var patience = Duration.seconds(30)
    private var connection: PostgresConnection
    private let checks: [Check]
    private let range: HourRange

    init(_ connection: consuming PostgresConnection, _ range: HourRange, repeats: RepeatRule) {
        self.connection = connection
        self.range = range
        checks = Check.all(range, repeats: repeats)
    }

    /// What all checks have brought.
    struct Result {
        var checked = 0
        var differences = 0
        /// Trades that are stored, and kpi-service has not come to: they are compared with nothing.
        var unread: Int64 = 0
    }

    /// Runs all checks.
    /// - Parameter tell: hears of each difference, up to so many a check, and of what was left out.
    /// - Throws: `VerificationError`, `PostgresError`.
    mutating func run(telling limit: Int, _ tell: (String) -> Void) throws -> Result {
        let deadline = ContinuousClock.now + patience
        while true {
            let isLast = ContinuousClock.now >= deadline
            try connection.begin(.repeatableRead)
            // The planner knows nothing of ids and positions, and takes them for few.
            try connection.execute(
                """
                SET LOCAL enable_nestloop = off; SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC';
                SET LOCAL work_mem = '64MB'
                """)
            if let outcomes = try outcomes(telling: limit, isLast: isLast) {
                let unread = try unread()
                try connection.rollback()
                return tellAll(outcomes, unread: unread, tell)
            }
            try connection.rollback()
            usleep(300_000)
        }
    }

    /// - Returns: nil when another snapshot is to be taken, in which what is on its way may have come.
    private mutating func outcomes(telling limit: Int, isLast: Bool) throws -> [Check.Outcome]? {
        let ahead = try connection.query(
            "SELECT topic, partition, counted, coalesce(stored, 0) FROM counted_ahead LIMIT 1")
        if ahead.rowCount > 0 {
            guard isLast else { return nil }
            throw VerificationError.consumerIsBehind(
                "\(ahead.string(0, 0) ?? "") [\(ahead.string(0, 1) ?? "")]: kpi-service is at \(ahead.int64(0, 2) ?? 0), "
                    + "consumer at \(ahead.int64(0, 3) ?? 0)")
        }
        var outcomes: [Check.Outcome] = []
        for check in checks {
            let outcome = try check.run(&connection, telling: limit)
            if outcome.differences > 0, check.maySettle, !isLast { return nil }
            outcomes.append(outcome)
        }
        return outcomes
    }

    private mutating func unread() throws(PostgresError) -> Int64 {
        let trades = try connection.query(
            """
            SELECT (SELECT count(*) FROM stored_trade WHERE \(range.contains("\"timestamp\"")))
                - (SELECT count(*) FROM counted_trade WHERE \(range.contains("\"timestamp\"")))
            """)
        return trades.int64(0, 0) ?? 0
    }

    private func tellAll(_ outcomes: [Check.Outcome], unread: Int64, _ tell: (String) -> Void) -> Result {
        var result = Result(unread: unread)
        for (check, outcome) in zip(checks, outcomes) {
            result.checked += outcome.checked
            result.differences += outcome.differences
            for line in outcome.lines { tell(line) }
            let rest = outcome.differences - outcome.lines.count
            if rest > 0 { tell("\(check.name): \(rest) more") }
            if let omission = outcome.omission { tell("\(check.name): not compared: \(omission)") }
        }
        return result
    }
}

/// Why nothing could be compared, or what came of it.
enum VerificationError: Error, CustomStringConvertible {
    case consumerIsBehind(String)
    case differences(Int)

    var description: String {
        switch self {
        case .consumerIsBehind(let place):
            "\(place): the rollups have what the raw table has not yet. Start the consumer, or wait until it has caught up"
        case .differences(let count):
            "\(count) differences; 'kpi-service rebuild' makes rollups anew from the trades, docs/verification.md tells of the rest"
        }
    }
}
