/// What `SymbolSilence` has found.
package enum SymbolSilenceAction: Equatable, Sendable {
    /// The symbol's market is open, and it has brought nothing since then for as long as its session allows.
    case mute(ShortText, since: Timestamp)
    /// The symbol that was mute has brought a trade.
    case resumed(ShortText, silentFor: Duration)
}

/// How a subscribed symbol stands.
package enum SymbolActivity: Equatable, Sendable {
    /// Its market is closed, so nothing is expected.
    case closed
    /// Its market is open, and its silence is not longer than it may be.
    case active
    /// It has brought nothing since then, though its market is open.
    case mute(since: Timestamp)
}

/// Finds symbols that bring nothing though their market is open.
///
/// A symbol's silence begins with its last trade, its subscription or the start of its market's session, whichever came last.
/// It is reported once, when it gets as long as the session's `muteAfter`, and lasts until the next trade; the closing of the
/// market ends it without a word. Silence is a finding about the feed, never a reason to reconnect.
///
/// A plain value for one thread. Times are those of the wall clock, as markets have it, in calls that follow one another; a
/// clock that is set back costs no more than the silence counted so far.
package struct SymbolSilence: Sendable {
    private struct Symbol {
        let name: ShortText
        let market: Int
        var silentSince: Timestamp
        var lastTrade: Timestamp?
        var isMute = false
    }

    /// A market as it stood when its session changed last.
    private struct Market {
        let hours: MarketHours
        var session: MarketSession?
        var start: Timestamp
        /// When the session changes, and when the market closes; nil for never.
        var change: Timestamp?
        var closing: Timestamp?

        init(_ hours: MarketHours, at now: Timestamp) {
            self.hours = hours
            start = now
            look(at: now)
        }

        /// Takes the market to a moment; true when it is closed or was in between.
        mutating func advance(to now: Timestamp) -> Bool {
            let isChanged = change.map { $0 <= now } ?? false
            guard isChanged || now < start else { return session == nil }
            let wasClosed = closing.map { $0 <= now } ?? false
            let begin = change
            look(at: now)
            // The session began when the last one ended, unless a clock that leapt has passed over others.
            start = begin.flatMap { $0 <= now && hours.nextChange(after: $0) == change ? $0 : nil } ?? now
            return wasClosed || session == nil
        }

        private mutating func look(at now: Timestamp) {
            session = hours.session(at: now)
            change = hours.nextChange(after: now)
            closing = hours.nextClosing(after: now)
        }
    }

    private let calendar: MarketCalendar
    private var markets: [Market] = []
    private var symbols: [Symbol] = []
    private var places: [ShortText: Int] = [:]
    /// Trades of symbols that are not watched.
    package private(set) var unwatchedTrades: Int64 = 0

    package init(calendar: MarketCalendar) {
        self.calendar = calendar
    }

    /// Watches a symbol from now on. For one that is watched already, the clock starts anew, as after a reconnect; if it is
    /// mute, it stays so until its next trade.
    package mutating func subscribe(_ symbol: ShortText, at now: Timestamp) {
        if let place = places[symbol] {
            if !symbols[place].isMute { symbols[place].silentSince = now }
            return
        }
        let hours = calendar.hours(of: symbol)
        let known = markets.firstIndex { $0.hours.name == hours.name }
        if known == nil { markets.append(Market(hours, at: now)) }
        places[symbol] = symbols.count
        symbols.append(Symbol(name: symbol, market: known ?? markets.count - 1, silentSince: now))
    }

    /// Forgets a symbol.
    package mutating func unsubscribe(_ symbol: ShortText) {
        guard let place = places.removeValue(forKey: symbol) else { return }
        let last = symbols.removeLast()
        if place < symbols.count {
            symbols[place] = last
            places[last.name] = place
        }
    }

    /// Notes that a trade of this symbol has come in now: one look-up, no allocation. Those of other symbols than the watched
    /// ones are only counted.
    package mutating func trade(of symbol: ShortText, at now: Timestamp) -> SymbolSilenceAction? {
        guard let place = places[symbol] else {
            unwatchedTrades += 1
            return nil
        }
        let since = symbols[place].silentSince
        symbols[place].silentSince = now
        symbols[place].lastTrade = now
        guard symbols[place].isMute else { return nil }
        symbols[place].isMute = false
        return .resumed(symbol, silentFor: .microseconds(max(0, now.microseconds - since.microseconds)))
    }

    /// Looks for silence; to be called about once a second, as long as the feed is connected. What is found comes market by
    /// market.
    package mutating func tick(at now: Timestamp) -> [SymbolSilenceAction] {
        var actions: [SymbolSilenceAction] = []
        for market in markets.indices {
            let wasClosed = markets[market].advance(to: now)
            let (session, start) = (markets[market].session, markets[market].start)
            for place in symbols.indices where symbols[place].market == market {
                if wasClosed { symbols[place].isMute = false }
                guard let session, !symbols[place].isMute else { continue }
                let since = min(max(symbols[place].silentSince, start), now)
                symbols[place].silentSince = since
                guard .microseconds(now.microseconds - since.microseconds) >= session.muteAfter else { continue }
                symbols[place].isMute = true
                actions.append(.mute(symbols[place].name, since: since))
            }
        }
        return actions
    }

    /// How a symbol stood at the last tick and has traded since; nil for one that is not watched.
    package func activity(of symbol: ShortText) -> SymbolActivity? {
        guard let place = places[symbol] else { return nil }
        if symbols[place].isMute { return .mute(since: symbols[place].silentSince) }
        return markets[symbols[place].market].session == nil ? .closed : .active
    }

    /// When a symbol's last trade came in; nil before its first one, and for a symbol that is not watched.
    package func lastTrade(of symbol: ShortText) -> Timestamp? {
        places[symbol].flatMap { symbols[$0].lastTrade }
    }
}
