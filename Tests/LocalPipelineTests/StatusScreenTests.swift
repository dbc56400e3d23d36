import Testing

@testable import LocalPipeline

@Suite struct StatusScreenTests {
    @Test func `A wide screen shows everything, each partition and two columns of symbols`() {
        let screen = StatusScreen(width: 110, height: 40).render(.sample)
        #expect(
            screen == """
                Tickstream  running for 01:01:01                                                               Ctrl-C stops it
                Broker    Kafka at kafka:9092, as given
                Feed      simulated market, 200 trades/s, ws://127.0.0.1:1

                                          trades/s      in all      behind  by partition
                into the topic                 200   1,234,567
                stored by consumer             199   1,234,560           7  5 2
                folded by kpi-service          3.5           –          30  30 0

                symbol              last price     age    symbol              last price     age
                AAPL                    187.23   0.2 s    BINANCE:BTCUSDT        67012.5   3 min

                KPIs      198 trades/s in 1 s · 4 symbols in 30 s (at least 4 wanted) · median process time 12 ms · 0 rejected

                Database  PGPASSFILE=/data/passfile psql -h 127.0.0.1 -p 5432 -U postgres tickstream
                Topic     kcat -C -b kafka:9092 -t trades -o end
                Logs      /data/log

                """)
    }

    @Test(arguments: [20, 40, 60, 79, 80, 81, 100, 132, 200])
    func `No line but a command is wider than the screen`(width: Int) {
        var snapshot = StatusSnapshot.sample
        snapshot.facts.feed = String(repeating: "long ", count: 50)
        snapshot.topicEnds = (0..<300).map { Int64($0) }
        let facts = snapshot.facts
        let lines = StatusScreen(width: width).render(snapshot).split(separator: "\n").filter { line in
            ![facts.databaseCommand, facts.topicCommand, facts.logs].contains { line.hasSuffix($0) }
        }
        #expect(lines.count >= 8)
        for line in lines { #expect(line.count <= width, "\(line)") }
    }

    @Test func `A command stays whole on a narrow screen`() {
        let screen = StatusScreen(width: 40).render(.sample)
        #expect(screen.contains(StatusSnapshot.sample.facts.databaseCommand))
    }

    @Test func `What could not be read is a dash`() {
        var snapshot = StatusSnapshot()
        snapshot.facts.symbols = ["AAPL"]
        snapshot.prices = [StatusSnapshot.Price(symbol: "AAPL")]
        let lines = StatusScreen(width: 100).render(snapshot).split(separator: "\n").map(String.init)
        func words(_ start: String) -> [Substring]? { lines.first { $0.hasPrefix(start) }?.split(separator: " ") }
        #expect(words("into the topic")?.suffix(2) == ["–", "–"])
        #expect(words("stored by consumer")?.suffix(4) == ["–", "–", "–", "–"])
        #expect(words("AAPL") == ["AAPL", "–", "–"])
        #expect(words("KPIs") == ["KPIs", "–"])
    }

    @Test func `A reader that has no position yet is behind by the whole topic`() {
        var snapshot = StatusSnapshot.sample
        snapshot.positions = [:]
        #expect(snapshot.lags(of: "consumer") == [1_000_000, 234_567])
        snapshot.positions = nil
        #expect(snapshot.lags(of: "consumer") == nil)
    }

    @Test func `Symbols that find no room are counted`() {
        var snapshot = StatusSnapshot.sample
        snapshot.prices = (0..<50).map { StatusSnapshot.Price(symbol: "S\($0)") }
        let screen = StatusScreen(width: 80, height: 24).render(snapshot)
        let shown = (0..<50).count { screen.contains("S\($0) ") }
        #expect(shown > 0)
        #expect(screen.contains("and \(50 - shown) more"))
    }

    @Test func `Missing symbols and rejected records stand out`() {
        var snapshot = StatusSnapshot.sample
        snapshot.kpis?.symbols = 3
        snapshot.kpis?.rejected = 10_000
        let plain = StatusScreen(width: 200).render(snapshot)
        #expect(plain.contains("3 symbols in 30 s, 4 wanted: some are missing"))
        #expect(plain.contains("10,000 or more rejected"))
        #expect(!plain.contains("\u{1B}"))
        let colored = StatusScreen(width: 200, isColored: true).render(snapshot)
        #expect(colored.contains("\u{1B}[33m3 symbols"))
        #expect(colored.contains("\u{1B}[33m10,000 or more rejected"))
        #expect(colored.replacing(/\u{1B}\[\d+m/, with: "") == plain)
    }

    @Test func `Symbols are not missed before a window of this run is full`() {
        var snapshot = StatusSnapshot.sample
        snapshot.kpis?.symbols = 0
        snapshot.uptime = .seconds(59)
        #expect(StatusScreen(width: 200).render(snapshot).contains("symbols: after a full 30 s"))
        snapshot.uptime = .seconds(60)
        #expect(StatusScreen(width: 200).render(snapshot).contains("0 symbols in 30 s, 4 wanted: some are missing"))
    }

    @Test func `A line says the same for a file`() {
        #expect(
            StatusScreen().line(.sample)
                == "01:01:01  topic 200/s, 1,234,567 in all | consumer 199/s, 1,234,560 in all, lag 7"
                + " | kpi-service 3.5/s, – in all, lag 30 | median process time 12 ms | 0 rejected")
    }
}

@Suite struct TextTests {
    @Test(
        arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567"), (nil, "–")]
            as [(Int64?, String)])
    func `Numbers have groups of three digits`(number: Int64?, text: String) {
        #expect(Text.number(number) == text)
    }

    @Test(
        arguments: [
            (-5, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"),
            (200_000, "2 d"),
        ] as [(Double, String)])
    func `An age has the unit that fits`(age: Double, text: String) {
        #expect(Text.age(age) == text)
    }

    @Test(arguments: [(0, "0"), (0.04, "0.0"), (9.9, "9.9"), (9.96, "10"), (1234.6, "1,235")] as [(Double, String)])
    func `A small rate has a decimal place`(rate: Double, text: String) {
        #expect(Text.rate(rate) == text)
    }
}

@Suite struct RateMeterTests {
    @Test func `A rate is that of the last five readings`() {
        var meter = RateMeter()
        #expect(meter.counter == StatusSnapshot.Counter())
        let begin = ContinuousClock.now
        meter.add(1000, at: begin)
        #expect(meter.counter == StatusSnapshot.Counter(total: 1000, perSecond: nil))
        for second in 1...5 { meter.add(1000 + Int64(second) * 50, at: begin + .seconds(second)) }
        #expect(meter.counter == StatusSnapshot.Counter(total: 1250, perSecond: 50))
        meter.add(2000, at: begin + .seconds(6))
        #expect(meter.counter.perSecond == 225)
    }

    @Test func `A total that falls is no negative rate`() {
        var meter = RateMeter()
        let begin = ContinuousClock.now
        meter.add(100, at: begin)
        meter.add(10, at: begin + .seconds(1))
        #expect(meter.counter == StatusSnapshot.Counter(total: 10, perSecond: 0))
    }
}

extension StatusSnapshot {
    fileprivate static let sample = StatusSnapshot(
        facts: Facts(
            broker: "Kafka at kafka:9092, as given", feed: "simulated market, 200 trades/s, ws://127.0.0.1:1",
            topic: "trades", symbols: ["AAPL", "BINANCE:BTCUSDT"],
            databaseCommand: "PGPASSFILE=/data/passfile psql -h 127.0.0.1 -p 5432 -U postgres tickstream",
            topicCommand: "kcat -C -b kafka:9092 -t trades -o end", logs: "/data/log"),
        uptime: .seconds(3661), topicEnds: [1_000_000, 234_567],
        topic: Counter(total: 1_234_567, perSecond: 200.4),
        taken: [
            "consumer": Counter(total: 1_234_560, perSecond: 199), "kpi-service": Counter(total: nil, perSecond: 3.5),
        ],
        positions: ["consumer": [0: 999_995, 1: 234_565], "kpi-service": [0: 999_970, 1: 234_570]],
        prices: [
            Price(symbol: "AAPL", price: "187.23", age: 0.21),
            Price(symbol: "BINANCE:BTCUSDT", price: "67012.5", age: 200),
        ],
        kpis: KPIs(
            tradesPerSecond: 198, bucketSeconds: 1, symbols: 4, expectedSymbols: 4, windowSeconds: 30,
            medianProcessTime: 12.3, rejected: 0))
}
