import Foundation

extension Outcome {
    /// Finds out whether everything is as expected.
    func check(_ findings: inout Findings) throws {
        if expectation.isContested {
            try checkSharedTrades(&findings)
        } else {
            checkEvents(&findings)
            let parts = try checkTrades(&findings)
            if findings.all.isEmpty { checkGaps(parts, &findings) }
            try checkPauses(of: producers[0], &findings)
            checkMetrics(of: producers[0], &findings)
        }
        checkNumbers(&findings)
        for producer in producers { checkCounts(of: producer, &findings) }
        checkSecrecy(&findings)
        try expectation.check(self, &findings)
    }

    // MARK: Events

    private func checkEvents(_ findings: inout Findings) {
        var mutes = story().filter { $0.kind == "symbol_mute" }.sorted { ($0.symbol ?? "") < ($1.symbol ?? "") }
        // Which symbol is found out first is chance.
        let story = story().map { $0.kind == "symbol_mute" ? mutes.removeFirst() : $0 }
        let expected = expectation.events + [.stopped]
        findings.expect(
            story.count == expected.count && zip(expected, story).allSatisfy { $0.matches($1) },
            "the events are\n    \(story.map(\.summary).joined(separator: "\n    "))\ninstead of\n    "
                + expected.map(\.summary).joined(separator: "\n    "))
        let attempts = expected.count { $0.kind == "connected" || $0.wasOpen == false }
        findings.expectEqual("connections and attempts", connections.count, attempts)
    }

    // MARK: Trades

    /// Compares the topic with what was sent.
    /// - Returns: the trades in the topic of each connection that was open.
    private func checkTrades(_ findings: inout Findings) throws -> [ArraySlice<TopicTrade>] {
        findings.expectEqual("connections that were open", open.count, expectation.trades.count)
        var parts: [ArraySlice<TopicTrade>] = []
        var rest = trades[...]
        for (index, (connection, share)) in zip(open, expectation.trades).enumerated() {
            let sent = try connection.readable.flatMap { try FeedFrame.trades($0.text) }
            let count = zip(sent, rest).prefix { $0 == $1.line }.count
            parts.append(rest.prefix(count))
            rest = rest.dropFirst(count)
            let number = "connection \(index + 1) of those that were open"
            switch share {
            case .all(let expected):
                findings.expectEqual("trades sent on \(number)", sent.count, expected)
                findings.expect(
                    count == sent.count,
                    "of \(number), only \(count) of \(sent.count) trades stand in the topic; '\(sent[count])' comes next, "
                        + "and the topic has \(rest.first.map { "'\($0.line)'" } ?? "no more")")
            case .beginning(let least):
                findings.expect(count >= least, "of \(number), \(count) trades stand in the topic, not \(least)")
            }
            // Fewer may have been sent before all was subscribed.
            if share.least >= 400 { checkSymbols(sent, number, &findings) }
        }
        findings.expect(
            rest.isEmpty, "\(rest.count) trades too many stand in the topic, the first is '\(rest.first?.line ?? "")'")
        return parts
    }

    /// Each producer has published the beginning of what its connections brought, and no connection was two producers'.
    private func checkSharedTrades(_ findings: inout Findings) throws {
        var owners: [Int: String] = [:]
        for source in producers.map(\.source) {
            var rest = trades.filter { $0.source == source }[...]
            // The second may never have been left in peace.
            findings.expect(
                !rest.isEmpty || source != FaultRun.sources[0], "nothing of the first producer stands in the topic")
            for (index, connection) in connections.enumerated() {
                let sent = try connection.readable.flatMap { try FeedFrame.trades($0.text) }
                let count = zip(sent, rest).prefix { $0 == $1.line }.count
                guard count > 0 else { continue }
                rest = rest.dropFirst(count)
                findings.expect(owners[index] == nil, "connection \(index + 1) was of two producers")
                owners[index] = source
            }
            findings.expect(
                rest.isEmpty, "\(rest.count) trades too many of \(source), the first is '\(rest.first?.line ?? "")'")
        }
    }

    /// On each connection everything was subscribed.
    private func checkSymbols(_ sent: [String], _ number: String, _ findings: inout Findings) {
        let symbols = Set(sent.compactMap { $0.split(separator: "|").first.map(String.init) })
        let missing = Set(expectation.symbols).subtracting(symbols).subtracting(expectation.silentSymbols)
        findings.expect(missing.isEmpty, "on \(number), nothing came of \(missing.sorted())")
    }

    /// Each trade has its number, and says how often it was there before.
    private func checkNumbers(_ findings: inout Findings) {
        for source in producers.map(\.source) {
            var seen: [String: Int] = [:]
            var last = Int.min
            for trade in trades where trade.source == source {
                findings.expect(trade.sequence > last, "number \(trade.sequence) comes after \(last)")
                last = trade.sequence
                let before = seen[trade.line, default: 0]
                seen[trade.line] = before + 1
                findings.expect(
                    trade.repeats == before, "'\(trade.line)' says that it repeats \(trade.repeats), not \(before)")
            }
        }
        let sources = Set(trades.map(\.source)).union(events.map(\.src))
        findings.expectEqual("sources", sources, Set(producers.map(\.source)))
    }

    // MARK: Times

    /// A gap begins with the last thing that came, and ends with the next connection; no trade was taken within one.
    private func checkGaps(_ parts: [ArraySlice<TopicTrade>], _ findings: inout Findings) {
        var lastSign: Moment?
        var openedAt: Moment?
        var connection = 0
        for event in story() {
            switch event.kind {
            case "connected":
                findings.expectEqual("the end of a gap", event.to, event.at)
                // Before the first thing that a producer knows of, there is none.
                findings.expectEqual("the start of a gap", event.from, lastSign)
                (openedAt, lastSign) = (event.at, event.at)
            case "disconnected":
                guard let from = event.from else {
                    findings.expect(false, "an end says nothing of when something came last")
                    continue
                }
                guard let begin = openedAt else {
                    findings.expectEqual("the start of a gap", from, lastSign ?? from)
                    lastSign = from
                    continue
                }
                let taken = parts[connection].map(\.takenAt)
                let last = taken.last ?? begin
                findings.expect(
                    taken.allSatisfy { begin <= $0 && $0 <= from }, "trades were taken before or after their connection"
                )
                findings.expect(
                    endsWithTrade(connection) ? from == last : from >= last,
                    "the gap begins at \(from), the last trade came at \(last)")
                (openedAt, lastSign) = (nil, from)
                connection += 1
            default: break
            }
        }
    }

    /// Whether the last thing that came on a connection was a trade, for certain.
    private func endsWithTrade(_ number: Int) -> Bool {
        let frames = open[number].readable
        if case .all = expectation.trades[number] { return frames.last.map { $0.tradeCount > 0 } ?? true }
        return frames.allSatisfy { $0.tradeCount > 0 }
    }

    /// After each end it was waited as long as the producer said, which is as long as it should.
    private func checkPauses(of producer: Producer, _ findings: inout Findings) throws {
        let (told, expected) = (producer.pauses, expectation.allPauses)
        findings.expect(
            told.count == expected.count && zip(told, expected).allSatisfy { $1 ~= $0 },
            "the producer waits for \(told) s instead of \(expected)")
        let ends = story(of: producer.source).filter { $0.kind == "disconnected" }
        for (index, (end, pause)) in zip(ends, told).enumerated() where index + 1 < connections.count {
            let passed = connections[index + 1].connectedAt - (try real(end.at, of: producer))
            findings.expect(
                passed * Double(expectation.speed) >= pause * 0.99,
                "attempt \(index + 2) came after \(passed) s at \(expectation.speed) times the speed, not \(pause) s")
        }
    }

    // MARK: Counts

    private func checkMetrics(of producer: Producer, _ findings: inout Findings) {
        let expected = expectation.events
        func check(_ series: String, _ value: Int) {
            findings.expectEqual(series, producer.metric(series), Double(value))
        }
        check("feed_connected", 1)
        check("feed_connections_total", expected.count { $0.kind == "connected" })
        check("feed_disconnections_total", expected.count { $0.kind == "disconnected" })
        check("feed_trades_dropped_total", 0)
        check("feed_errors_total", expectation.errors)
        for (reason, count) in expectation.rejected { check("feed_items_rejected_total{reason=\"\(reason)\"}", count) }
        let rejected = expectation.rejected.values.reduce(0, +)
        findings.expectEqual("rejected items", producer.sum("feed_items_rejected_total"), Double(rejected))
        // Where something goes on to come, these have gone on too.
        guard isWhole else { return }
        check("feed_trades_total", trades.count)
        check("feed_trades_spooled_total", trades.count)
        check("feed_trades_repeated_total", trades.count { $0.repeats > 0 })
        if expectation.speed == 1 { check("feed_frames_total", open.reduce(0) { $0 + $1.readable.count }) }
    }

    /// Whether all that was sent must have come, up to the end.
    private var isWhole: Bool {
        expectation.trades.allSatisfy { if case .all = $0 { true } else { false } }
    }

    /// What came in has gone out, and is accounted for.
    private func checkCounts(of producer: Producer, _ findings: inout Findings) {
        let events = events.filter { $0.src == producer.source }
        let counters = events.filter { $0.kind == "counters" }
        func sum(_ count: KeyPath<TopicEvent, Int?>) -> Int { counters.reduce(0) { $0 + ($1[keyPath: count] ?? 0) } }
        let published = trades.count { $0.source == producer.source }
        let rejected = expectation.rejected.values.reduce(0, +)
        findings.expectEqual("enqueued", sum(\.enqueued), published)
        findings.expectEqual("acknowledged", sum(\.acknowledged), published)
        findings.expectEqual("rejected", sum(\.rejected), rejected)
        findings.expectEqual("received", sum(\.received), published + rejected)
        let bySymbol = counters.reduce(into: [String: Int]()) { $0.merge($1.details ?? [:], uniquingKeysWith: +) }
        let symbols = trades.filter { $0.source == producer.source }.map { $0.line.prefix { $0 != "|" } }
        findings.expectEqual(
            "trades by symbol", bySymbol, symbols.reduce(into: [:]) { $0[String($1), default: 0] += 1 })
        let reasons = events.filter { $0.kind == "rejected_items" }
            .reduce(into: [String: Int]()) { $0.merge($1.details ?? [:], uniquingKeysWith: +) }
        findings.expectEqual("rejected items", reasons, expectation.rejected)
        if producers.count == 1 { checkFrames(sum(\.frames), &findings) }
    }

    /// Every message counts once, save what may be lost on the way.
    private func checkFrames(_ received: Int, _ findings: inout Findings) {
        let frames = open.flatMap(\.readable)
        let pings = frames.count { $0.text == #"{"type":"ping"}"# }
        findings.expect(
            received <= frames.count && (!isWhole || received >= frames.count - (expectation.speed > 1 ? pings : 0)),
            "\(received) messages were received of \(frames.count) that were sent, with \(pings) pings")
    }

    // MARK: Secrecy

    private func checkSecrecy(_ findings: inout Findings) {
        let texts = producers.map(\.log) + producers.map(\.metrics) + events.compactMap(\.cause)
        let forms = [FaultRun.key, "a%20key%2Fthat%20nobody%20sees"]
        findings.expect(
            !texts.contains { text in forms.contains(where: text.contains) }, "the key stands where it must not")
    }
}
