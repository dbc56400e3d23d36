import Postgres
import TradeModel

/// The symbols that have traded within a week, with how their markets stand at a moment. Durations are in microseconds.
struct KnownSymbols {
    private let calendar: MarketCalendar
    private var markets: [String: Market] = [:]
    private var hours: [String: MarketHours] = [:]

    /// A symbol at a moment.
    struct Symbol: Equatable {
        var name: String
        /// For how long its market has been open without a pause; 0 while it is closed.
        var openFor: Int64
        /// How long it has brought nothing, in this session of its market.
        var silence: Int64
        /// The same, over all sessions since the market opened.
        var silenceSinceOpening: Int64
        /// How long it may bring nothing; 0 while its market is closed.
        var patience: Int64
        /// How long ago its last trade was.
        var age: Int64
    }

    /// A market between two changes of its sessions.
    private struct Market {
        let muteAfter: Int64?
        let sessionStart: Int64
        let opening: Int64
        let from: Timestamp
        let until: Timestamp?

        /// What has begun longer ago than this counts as having always been.
        private static let horizon: Int64 = 8 * 86_400_000_000

        init(_ hours: MarketHours, at now: Timestamp) {
            var session = hours.session(at: Timestamp(microseconds: now.microseconds - Self.horizon))
            (from, until) = (now, hours.nextChange(after: now))
            var (start, opening) = (now.microseconds - Self.horizon, now.microseconds - Self.horizon)
            var change = hours.nextChange(after: Timestamp(microseconds: start))
            while let edge = change, edge <= now {
                let next = hours.session(at: edge)
                if session == nil { opening = edge.microseconds }
                (start, session) = (edge.microseconds, next)
                change = hours.nextChange(after: edge)
            }
            muteAfter = session.map { Int64($0.muteAfter / .microseconds(1)) }
            (sessionStart, self.opening) = (start, opening)
        }
    }

    init(calendar: MarketCalendar) {
        self.calendar = calendar
    }

    /// Looks up the symbols and their last trades, at most so many index entries as there are symbols, and how they stand.
    mutating func read(
        at moment: Timestamp, _ connection: inout PostgresConnection
    ) throws(PostgresError) -> [Symbol] {
        let rows = try connection.query(Self.query, parameters: [.text("\(moment)")])
        return (0..<rows.rowCount).map { row in
            standing(of: rows.string(row, 0)!, lastTrade: rows.int64(row, 1)!, at: moment)
        }
    }

    /// How a symbol stands.
    mutating func standing(of name: String, lastTrade: Int64, at moment: Timestamp) -> Symbol {
        let now = moment.microseconds
        let market = market(of: name, at: moment)
        let age = max(0, now - lastTrade)
        guard let patience = market.muteAfter else {
            return Symbol(name: name, openFor: 0, silence: 0, silenceSinceOpening: 0, patience: 0, age: age)
        }
        return Symbol(
            name: name, openFor: now - market.opening, silence: max(0, now - max(lastTrade, market.sessionStart)),
            silenceSinceOpening: max(0, now - max(lastTrade, market.opening)), patience: patience, age: age)
    }

    private mutating func market(of name: String, at moment: Timestamp) -> Market {
        let hours: MarketHours
        if let known = self.hours[name] {
            hours = known
        } else {
            hours = calendar.hours(of: ShortText(name) ?? ShortText())
            self.hours[name] = hours
        }
        if let market = markets[hours.name], market.from <= moment, market.until.map({ moment < $0 }) ?? true {
            return market
        }
        let market = Market(hours, at: moment)
        markets[hours.name] = market
        return market
    }

    /// Walks from symbol to symbol along the index of the hours, and looks for each one's last trade there and in the
    /// seconds. What lies ahead of the moment does not count: a trade with a wrong time must not hide a silence.
    private static let query = """
        WITH RECURSIVE each (symbol) AS (
            (SELECT symbol FROM trade_rollup_1h ORDER BY symbol LIMIT 1)
            UNION ALL
            SELECT (SELECT next.symbol FROM trade_rollup_1h AS next WHERE next.symbol > each.symbol
                ORDER BY next.symbol LIMIT 1)
            FROM each WHERE each.symbol IS NOT NULL
        ), traded AS MATERIALIZED (
            SELECT symbol, greatest(
                (SELECT close_time FROM trade_rollup_1s AS second
                    WHERE second.symbol = each.symbol AND window_start < $1::timestamptz
                    ORDER BY window_start DESC LIMIT 1),
                (SELECT least(close_time, $1::timestamptz) FROM trade_rollup_1h AS hour
                    WHERE hour.symbol = each.symbol AND window_start < $1::timestamptz - interval '1 hour'
                    ORDER BY window_start DESC LIMIT 1)) AS last_trade
            FROM each WHERE symbol IS NOT NULL
        )
        SELECT symbol, (extract(epoch FROM last_trade) * 1000000)::bigint FROM traded
        WHERE last_trade >= $1::timestamptz - interval '7 days'
        """
}
