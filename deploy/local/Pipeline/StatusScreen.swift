/// Writes a snapshot as text: a screen for people at a terminal, one line for files.
struct StatusScreen: Sendable {
    /// In columns. No line is wider but the commands, which must stay whole to be copied.
    var width = 80
    /// In rows; fewer symbols are shown where there is little room.
    var height = 40
    var isColored = false

    private static let labels = 10
    private static let shownPartitions = 16

    /// The whole screen, each line ended by a newline.
    func render(_ snapshot: StatusSnapshot) -> String {
        let facts = snapshot.facts
        var lines = [heading(snapshot)]
        lines.append(labelled("Broker", facts.broker))
        lines.append(labelled("Feed", facts.feed))
        lines.append("")
        lines += flow(snapshot)
        lines.append("")
        let end =
            kpis(snapshot) + [
                "",
                paint(.dim, Text.left("Database", Self.labels)) + facts.databaseCommand,
                paint(.dim, Text.left("Topic", Self.labels)) + facts.topicCommand,
                paint(.dim, Text.left("Logs", Self.labels)) + facts.logs,
            ]
        // The commands may take two rows each, and the cursor takes one.
        let room = height - lines.count - end.count - 5
        lines += prices(snapshot.prices, rows: max(1, room)) + [""] + end
        return lines.joined(separator: "\n") + "\n"
    }

    /// The same in one line without a newline.
    func line(_ snapshot: StatusSnapshot) -> String {
        var parts = ["topic \(Text.rate(snapshot.topic.perSecond))/s, \(Text.number(snapshot.topic.total)) in all"]
        for reader in StatusSnapshot.readers {
            let counter = snapshot.taken[reader]
            let lag = snapshot.lags(of: reader)?.reduce(0, +)
            parts.append(
                "\(reader) \(Text.rate(counter?.perSecond))/s, \(Text.number(counter?.total)) in all,"
                    + " lag \(Text.number(lag))")
        }
        if let kpis = snapshot.kpis {
            parts.append("median process time \(Text.milliseconds(kpis.medianProcessTime))")
            parts.append("\(rejections(kpis)) rejected")
        }
        return "\(Text.clock(snapshot.uptime))  \(parts.joined(separator: " | "))"
    }

    private func heading(_ snapshot: StatusSnapshot) -> String {
        let left = "Tickstream"
        let middle = "  running for \(Text.clock(snapshot.uptime))"
        let right = "Ctrl-C stops it"
        let gap = width - left.count - middle.count - right.count
        return paint(.bold, Text.fit(left, width)) + Text.fit(middle, width - left.count)
            + (gap < 2 ? "" : Text.right("", gap) + paint(.dim, right))
    }

    private func flow(_ snapshot: StatusSnapshot) -> [String] {
        let name = 22
        let column = 12
        func row(_ title: String, _ cells: [String], _ last: String) -> String {
            Text.fit(Text.left(title, name) + cells.map { Text.right($0, column) }.joined() + last, width)
        }
        let partitions = "  by partition"
        let showsPartitions = width >= name + 3 * column + 24
        var lines = [
            paint(.dim, row("", ["trades/s", "in all", "behind"], showsPartitions ? partitions : ""))
        ]
        let into = [Text.rate(snapshot.topic.perSecond), Text.number(snapshot.topic.total)]
        lines.append(row("into the topic", into, ""))
        for (reader, title) in zip(StatusSnapshot.readers, ["stored by consumer", "folded by kpi-service"]) {
            let counter = snapshot.taken[reader]
            let lags = snapshot.lags(of: reader)
            let cells = [
                Text.rate(counter?.perSecond), Text.number(counter?.total), Text.number(lags?.reduce(0, +)),
            ]
            let shown = lags.map { $0.prefix(Self.shownPartitions).map(String.init).joined(separator: " ") }
            let more = (lags?.count ?? 0) > Self.shownPartitions ? " …" : ""
            lines.append(row(title, cells, showsPartitions ? "  \(shown ?? Text.missing)\(more)" : ""))
        }
        return lines
    }

    /// In as many columns as fit.
    private func prices(_ prices: [StatusSnapshot.Price], rows: Int) -> [String] {
        let symbolWidth = min(22, max(8, prices.map(\.symbol.count).max() ?? 0))
        let cell = symbolWidth + 1 + 14 + 1 + 7
        let columns = max(1, min(3, (width + 4) / (cell + 4)))
        let shown = prices.prefix(rows * columns)
        let cells = shown.map { price in
            Text.left(Text.fit(price.symbol, symbolWidth), symbolWidth) + " "
                + Text.right(Text.fit(price.price ?? Text.missing, 14), 14) + " "
                + Text.right(Text.age(price.age), 7)
        }
        let heads = (0..<min(columns, max(1, cells.count))).map { _ in
            Text.left("symbol", symbolWidth) + " " + Text.right("last price", 14) + " " + Text.right("age", 7)
        }
        var lines = [paint(.dim, Text.fit(heads.joined(separator: "    "), width))]
        let height = (cells.count + columns - 1) / columns
        for row in 0..<height {
            let line = stride(from: row, to: cells.count, by: height).map { cells[$0] }
            lines.append(Text.fit(line.joined(separator: "    "), width))
        }
        if prices.count > shown.count { lines.append(paint(.dim, "and \(prices.count - shown.count) more")) }
        return lines
    }

    private func kpis(_ snapshot: StatusSnapshot) -> [String] {
        guard let kpis = snapshot.kpis else { return [labelled("KPIs", Text.missing)] }
        // The last full window may have begun before this run.
        let isEarly = snapshot.uptime < .seconds(2 * kpis.windowSeconds)
        let isComplete = isEarly || Double(kpis.symbols) >= kpis.expectedSymbols
        let expected = Text.number(Int64(kpis.expectedSymbols))
        let symbols =
            isEarly
            ? "symbols: after a full \(kpis.windowSeconds) s"
            : "\(kpis.symbols) symbols in \(kpis.windowSeconds) s"
                + (isComplete ? " (at least \(expected) wanted)" : ", \(expected) wanted: some are missing")
        let parts: [(Style, String)] = [
            (.plain, "\(Text.rate(kpis.tradesPerSecond)) trades/s in \(kpis.bucketSeconds) s"),
            (isComplete ? .plain : .warning, symbols),
            (.plain, "median process time \(Text.milliseconds(kpis.medianProcessTime))"),
            (kpis.rejected == 0 ? .plain : .warning, "\(rejections(kpis)) rejected"),
        ]
        var lines: [String] = []
        var used = width
        for (style, part) in parts {
            let part = Text.fit(part, width - Self.labels)
            if used + 3 + part.count > width {
                lines.append(paint(.dim, Text.left(lines.isEmpty ? "KPIs" : "", Self.labels)) + paint(style, part))
                used = Self.labels + part.count
            } else {
                lines[lines.count - 1] += paint(.dim, " · ") + paint(style, part)
                used += 3 + part.count
            }
        }
        return lines
    }

    private func rejections(_ kpis: StatusSnapshot.KPIs) -> String {
        Text.number(kpis.rejected) + (kpis.rejected >= StatusSnapshot.countedRejections ? " or more" : "")
    }

    private func labelled(_ label: String, _ text: String) -> String {
        paint(.dim, Text.left(label, Self.labels)) + Text.fit(text, width - Self.labels)
    }

    private enum Style: String {
        case plain = ""
        case bold = "1"
        case dim = "2"
        case warning = "33"
    }

    private func paint(_ style: Style, _ text: String) -> String {
        isColored && style != .plain ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }
}
