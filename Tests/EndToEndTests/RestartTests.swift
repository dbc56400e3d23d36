import Foundation
import LocalServers
import Testing

extension EndToEnd {
    @Suite struct RestartTests {
        private static let simulator = ["--extra-symbols", "40", "--rate", "1500"]

        @Test(.timeLimit(.minutes(10)))
        func `readers killed in mid-stream lose and double nothing`() async throws {
            try await TestPipeline.run { pipeline in
                // The broker finds out sooner that a killed member is gone.
                let properties = "\(pipeline.processes.directory)/kafka.properties"
                try "session.timeout.ms=6000\nheartbeat.interval.ms=500\n"
                    .write(toFile: properties, atomically: true, encoding: .utf8)
                let options = ["--kafka-properties-file", properties]
                let feed = try await pipeline.processes.startSimulator(
                    Self.simulator + ["--record", pipeline.recordingFile])
                try await pipeline.startReaders(options)
                try pipeline.startProducer(feed: feed, symbols: EndToEnd.symbols)

                for round in 1...3 {
                    let before = try await pipeline.positions()
                    try await pipeline.wait(for: "both readers to store something in round \(round)") {
                        let now = try await pipeline.positions()
                        return TestPipeline.readers.allSatisfy { now[$0, default: 0] > before[$0, default: 0] + 500 }
                    }
                    for reader in TestPipeline.readers { await pipeline.kill(reader) }
                    for reader in TestPipeline.readers { try pipeline.start(reader, options) }
                }
                try await pipeline.endStream()
                let total = try await pipeline.waitUntilStored()
                await pipeline.stopAll()

                let sent = try Recording(path: pipeline.recordingFile).trades()
                #expect(total == sent.count)
                _ = try await pipeline.expectStored(sent)
                try await pipeline.expectRowsOfTopic()
                try await pipeline.expectSoundRows()
                #expect(try await pipeline.expectEqualKPIsAtAllThresholds() == 0)
                // Each reader has claimed each partition in each of its lives.
                let epoch = """
                    SELECT min(epoch) FROM offset_ledger JOIN topic_log USING (log_id) WHERE topic = '\(pipeline.topic)'
                    """
                #expect(try await pipeline.database.number(epoch) >= 4)
            }
        }

        @Test(.timeLimit(.minutes(10)))
        func `what a restarted producer was acknowledged is stored once`() async throws {
            try await TestPipeline.run { pipeline in
                let feed = try await pipeline.processes.startSimulator(
                    Self.simulator + ["--record", pipeline.recordingFile])
                try await pipeline.startReaders()
                try pipeline.startProducer(feed: feed, symbols: EndToEnd.symbols)
                try await pipeline.waitUntilPublished(atLeast: 3_000)
                for status in await pipeline.stop("producer") { #expect(status.isSuccess) }
                let first = Int(try await pipeline.watermarks().reduce(0, +))

                let second = try pipeline.startProducer(feed: feed, symbols: EndToEnd.symbols)
                try await pipeline.waitUntilPublished(atLeast: first + 3_000)
                try await pipeline.endStream()
                let total = try await pipeline.waitUntilStored()
                try await pipeline.waitUntilEventsStored()
                await pipeline.stopAll()

                // Each run says at its end how much was acknowledged; the log is that of both.
                let log = try String(contentsOfFile: second.logFile, encoding: .utf8)
                let acknowledged = log.matches(of: /kafka\.acknowledged=(\d+)/).compactMap { Int($0.1) }
                #expect(acknowledged.count == 2 && acknowledged.first == first && acknowledged.reduce(0, +) == total)
                // The feed's trades that nobody read when the first producer went are the only ones that are missing.
                let sent = try Recording(path: pipeline.recordingFile).trades()
                let stored = try await pipeline.storedTrades()
                #expect(stored.count == total)
                pipeline.expectSameOrder(stored.prefix(first), sent.prefix(first))
                pipeline.expectSameOrder(stored.suffix(total - first), sent.suffix(total - first))
                try await pipeline.expectRowsOfTopic()
                try await pipeline.expectSoundRows()
                try await pipeline.expectConservation()
                try await pipeline.expectGapOfRestart(first: first)
                #expect(try await pipeline.expectEqualKPIsAtAllThresholds() == 0)
            }
        }
    }
}

extension TestPipeline {
    /// Waits until the table has the last word of each run of the producer, which are the counts at its stop.
    fileprivate func waitUntilEventsStored() async throws {
        try await wait(for: "the events of both runs to be stored") {
            try await database.number(
                """
                SELECT count(*) FROM (SELECT kind, lead(kind) OVER (ORDER BY sequence) AS next FROM feed_event) AS event
                WHERE kind = 'counters' AND (next IS NULL OR next = 'connected')
                """) == 2
        }
    }

    /// Expects the counts of all events to agree with each other and with the table, in sum and by symbol.
    fileprivate func expectConservation() async throws {
        let broken = try await database.rows(
            """
            SELECT source, sum(received), sum(rejected), sum(enqueued), sum(acknowledged),
                (SELECT count(*) FROM trade_data_finhub AS trade WHERE trade.source = feed_event.source) AS rows
            FROM feed_event WHERE kind = 'counters' GROUP BY source
            HAVING sum(received) <> sum(rejected) + sum(enqueued) OR sum(enqueued) <> sum(acknowledged)
                OR sum(acknowledged) <> (SELECT count(*) FROM trade_data_finhub AS trade
                                         WHERE trade.source = feed_event.source)
            """)
        #expect(broken.isEmpty, "\(broken)")
        let differences = try await database.number(
            """
            SELECT count(*) FROM (
                SELECT key AS symbol, sum(value::bigint) AS trades FROM feed_event, jsonb_each_text(details)
                WHERE kind = 'counters' GROUP BY key) AS told
            FULL JOIN (SELECT symbol, count(*) AS trades FROM trade_data_finhub GROUP BY symbol) AS stored
                USING (symbol)
            WHERE told.trades IS DISTINCT FROM stored.trades
            """)
        #expect(differences == 0)
        #expect(try await database.number("SELECT sum(acknowledged) FROM feed_event") > 0)
    }

    /// Expects a gap between the two runs of the producer, in which no trade was received, and one since the feed's end.
    fileprivate func expectGapOfRestart(first: Int) async throws {
        let gaps = try await database.rows(
            """
            SELECT source, gap_to IS NULL, cause,
                (SELECT count(*) FROM trade_data_finhub WHERE to_kafka < gap_from + interval '1 ms'),
                (SELECT count(*) FROM trade_data_finhub WHERE to_kafka > gap_from + interval '1 ms'
                    AND to_kafka < gap_to)
            FROM feed_gap ORDER BY gap_from
            """)
        try #require(gaps.count == 2, "\(gaps)")
        #expect(gaps[0][0] == "producer" && gaps[0][1] == "f" && gaps[0][4] == "0", "\(gaps)")
        #expect(gaps[0][2]?.hasSuffix("closed because the client was stopped") == true)
        #expect(gaps[1][1] == "t")
        #expect(try await database.number("SELECT count(*) FROM rejected_trade") == 0)
    }

    /// Ends the feed, which closes its connections when all is sent, then the producer.
    fileprivate func endStream() async throws {
        let producer = try #require(processes.running.first { $0.name == "producer" })
        for status in await stop("feed-simulator") { #expect(status.isSuccess) }
        try await wait(for: "the producer to take the end of the feed") {
            producer.log.contains("the feed is disconnected")
        }
        for status in await stop("producer") { #expect(status.isSuccess) }
    }

    /// How many records each reader has stored.
    fileprivate func positions() async throws -> [String: Int] {
        let rows = try await database.rows(
            """
            SELECT reader, sum(next_offset) FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE topic = '\(topic)' GROUP BY reader
            """)
        return Dictionary(uniqueKeysWithValues: rows.map { ($0[0] ?? "", Int($0[1] ?? "") ?? 0) })
    }

    fileprivate func waitUntilPublished(atLeast count: Int) async throws {
        try await wait(for: "\(count) records in the topic") { try await watermarks().reduce(0, +) >= count }
    }
}
