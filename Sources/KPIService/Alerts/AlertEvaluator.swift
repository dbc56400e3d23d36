import ExactlyOnce
import Postgres
import ServiceKit
import TradeModel

/// Evaluates all rules and changes alerts, in one transaction: by one member of the group at a time, whichever comes first.
///
/// What it has to know from before stands in the database, so that any member can go on. One thread at a time.
final class AlertEvaluator {
    /// How late trades may come: windows end so long before the moment up to which the rollups are complete.
    static let settling: Int64 = 5_000_000
    /// Rules over trades rest when the rollups are complete only up to a moment longer ago than this.
    static let maximumDelay: Int64 = 10_000_000

    /// The consumer's batches are read again after a twentieth of the stretch, and after so long at the latest.
    static let maximumPause = Duration.seconds(5)

    private static let limits = TransactionLimits(
        statement: .seconds(10), lock: .seconds(5), idle: .seconds(10))

    private let interval: Duration
    private let readLog: () throws -> LogEnds
    private let logger: Logger
    private let metrics: AlertMetrics
    private var known: KnownSymbols
    /// What the consumer's batches told, and how long that is good enough: there may be thousands of them in a stretch.
    private var remembered:
        [Int64: (rule: AlertRule, at: Timestamp, until: Timestamp, readings: [String: AlertReading])] =
            [:]
    /// What was said already, and lasts.
    private var problems: [Int64: String] = [:]
    private var logProblem: String?

    /// Makes an evaluator.
    /// - Parameters:
    ///   - interval: the time between two evaluations of the group.
    ///   - readLog: asks Kafka for the ends of the topic.
    init(
        interval: Duration, calendar: MarketCalendar, logger: Logger, metrics: AlertMetrics,
        readLog: @escaping () throws -> LogEnds
    ) {
        self.interval = interval
        self.readLog = readLog
        self.logger = logger
        self.metrics = metrics
        known = KnownSymbols(calendar: calendar)
    }

    /// Evaluates, unless another member has just done so or is doing so.
    /// - Parameter moment: what to take for the database's time; for tests.
    /// - Returns: whether it has.
    /// - Throws: `PostgresError`, after which nothing has changed.
    @discardableResult
    func run(_ connection: inout PostgresConnection, at moment: Timestamp? = nil) throws -> Bool {
        guard let logMoment = try due(at: moment, locking: false, &connection) else { return false }
        // Asked after the time was: what is below these ends includes all that was in the topic then.
        let log = logEnds()
        try connection.begin(limits: Self.limits)
        // Tables without statistics look large to the planner; compiling takes far longer than these queries.
        try connection.execute("SET LOCAL jit = off")
        guard let now = try due(at: moment, locking: true, &connection) else {
            try connection.rollback()
            return false
        }
        let completeUntil = try RollupCompleteness.advance(log, readAt: logMoment, now, &connection)
        let rules = try AlertRule.enabled(&connection)
        let measures = try prepare(rules, completeUntil, log, now, &connection)
        let ledger = AlertLedger(now: now)
        let standings = try ledger.standings(&connection)
        let changes = try evaluate(rules, measures, standings, &connection)
        let written = try ledger.write(changes, rules, &connection)
        PeriodicFailpoint.beforeEvaluationCommit.reach(written.count, &connection)
        try connection.commit()
        PeriodicFailpoint.afterEvaluationCommitTag.reach(written.count, &connection)
        tell(written)
        return true
    }

    /// The database's time when the rules are to be evaluated now, by anybody.
    private func due(
        at moment: Timestamp?, locking: Bool, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> Timestamp? {
        // Some members' clocks tick a little early. A time that is not yet was written before the clock was set back.
        let rows = try connection.query(
            """
            SELECT (extract(epoch FROM now) * 1000000)::bigint
            FROM alert_evaluation, (SELECT coalesce($1::timestamptz, now()) AS now) AS moment
            WHERE id AND (evaluated_at IS NULL OR evaluated_at > now
                OR evaluated_at <= now - $2 * interval '1 microsecond')
            \(locking ? "FOR UPDATE OF alert_evaluation SKIP LOCKED" : "")
            """,
            parameters: [
                moment.map { .text("\($0)") } ?? .null, .integer(Int64(interval * 0.9 / .microseconds(1))),
            ])
        return rows.int64(0, 0).map { Timestamp(microseconds: $0) }
    }

    private func logEnds() -> LogEnds? {
        do {
            let log = try readLog()
            logProblem = nil
            return log
        } catch {
            if logProblem != "\(error)" {
                logger.warning(
                    "the topic's ends are not known: rules over lag rest, and soon those over trades",
                    ["error": "\(error)"])
            }
            logProblem = "\(error)"
            return nil
        }
    }

    private func prepare(
        _ rules: [AlertRule], _ completeUntil: Timestamp?, _ log: LogEnds?, _ now: Timestamp,
        _ connection: inout PostgresConnection
    ) throws(PostgresError) -> AlertMeasures {
        var until: Timestamp?
        if let completeUntil, now.microseconds - completeUntil.microseconds <= Self.maximumDelay {
            let settled = min(completeUntil, now).microseconds - Self.settling
            until = Timestamp(microseconds: settled - settled % 1_000_000)
        }
        var symbols: [KnownSymbols.Symbol] = []
        if let until, rules.contains(where: { $0.kind?.source == .rollups }) {
            symbols = try known.read(at: until, &connection)
        }
        return AlertMeasures(now: now, until: until, log: log, symbols: symbols)
    }

    /// What follows for each rule and symbol.
    private func evaluate(
        _ rules: [AlertRule], _ measures: AlertMeasures, _ standings: [AlertSubject: AlertStanding],
        _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [AlertLedger.Change] {
        var changes: [AlertLedger.Change] = []
        var resting: Int64 = 0
        let byRule = Dictionary(grouping: standings.keys, by: \.rule)
        for rule in rules {
            guard var readings = try read(rule, measures, &connection) else {
                // What is not measured stays as it is.
                resting += 1
                continue
            }
            for subject in byRule[rule.id] ?? [] where readings[subject.symbol] == nil {
                readings[subject.symbol] = .nothing
            }
            for (symbol, reading) in readings.sorted(by: { $0.key < $1.key }) {
                let subject = AlertSubject(rule: rule.id, symbol: symbol)
                let action = AlertStateMachine.action(standings[subject], reading, rule, at: measures.now)
                if let action { changes.append(.init(subject: subject, reading: reading, action: action)) }
            }
        }
        metrics.rules.set(Int64(rules.count))
        metrics.restingRules.set(resting)
        return changes
    }

    /// nil for a rule that cannot be measured now; the reason is told once.
    private func read(
        _ rule: AlertRule, _ measures: AlertMeasures, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [String: AlertReading]? {
        guard let kind = rule.kind else {
            tell("this version does not know its kind", of: rule)
            return nil
        }
        guard measures.canMeasure(kind) else { return nil }
        if let last = remembered[rule.id], last.rule == rule, last.at <= measures.now, measures.now < last.until {
            return last.readings
        }
        try connection.execute("SAVEPOINT rule")
        do throws(PostgresError) {
            let readings = try measures.read(rule, kind, &connection)
            try connection.execute("RELEASE rule")
            problems[rule.id] = nil
            if kind.source == .batches {
                let pause = min(rule.lookBack / 20, Self.maximumPause)
                let until = measures.now.microseconds + Int64(pause / .microseconds(1))
                remembered[rule.id] = (rule, measures.now, Timestamp(microseconds: until), readings)
            }
            return readings
        } catch {
            guard !error.isConnectionLost else { throw error }
            try connection.execute("ROLLBACK TO rule")
            tell("\(error)", of: rule)
            return nil
        }
    }

    private func tell(_ problem: String, of rule: AlertRule) {
        if problems[rule.id] != problem {
            logger.warning(
                "a rule cannot be evaluated; the others are", ["alert.rule": rule.id, "error": problem])
        }
        problems[rule.id] = problem
    }

    private func tell(_ written: [AlertLedger.Written]) {
        for alert in written {
            let symbol = alert.symbol ?? "–"
            if alert.isOpening {
                metrics.opened.increment()
                logger.warning(
                    "an alert has opened",
                    [
                        "alert.id": alert.id, "alert.rule": alert.rule, "alert.severity": alert.severity,
                        "symbol": symbol, "value": alert.value ?? "–",
                    ])
            } else {
                logger.info(
                    "an alert has closed", ["alert.id": alert.id, "alert.rule": alert.rule, "symbol": symbol])
            }
        }
    }
}
