import ProgramTestSupport
import Testing

/// What a run has come to, in the words of its result line.
struct Verdict {
    var sent: Int
    var stored: Int
    var lost: Int
    var doubled: Int
    var kpiDifferences: Int

    var line: String {
        "sent=\(sent) stored=\(stored) lost=\(lost) doubled=\(doubled) kpi_differences=\(kpiDifferences)"
    }
}

extension TestPipeline {
    /// Every row of the table, in the order in which its producer numbered them.
    func storedTrades() async throws -> [String] {
        try await database.column("SELECT \(TradeLine.sql) FROM trade_data_finhub ORDER BY source, sequence")
    }

    /// Expects the table to hold what was sent: each trade once, with its digits, in the feed's order, nothing more.
    func expectStored(_ sent: [String]) async throws -> Verdict {
        let stored = try await storedTrades()
        let difference = MultisetDifference(expected: sent, found: stored)
        #expect(difference.missing == 0 && difference.surplus == 0, "\(difference)")
        if difference.missing == 0, difference.surplus == 0 { expectSameOrder(stored, sent) }
        return Verdict(
            sent: sent.count, stored: stored.count, lost: difference.missing, doubled: difference.surplus,
            kpiDifferences: 0)
    }

    /// Expects the table to hold exactly the topic's trades, each where the topic has it and under its symbol's key.
    func expectRowsOfTopic() async throws {
        let partitions = Dictionary(grouping: try tap.records(), by: \.partition)
        let records = partitions.sorted { $0.key < $1.key }.flatMap(\.value)
        var expected: [String] = []
        var foreignKeys: [String] = []
        for record in records {
            guard let json = try? JSONText(record.value), let line = try? TradeLine.of(json) else { continue }
            let origin =
                "\(record.partition)|\(record.offset)|\(json["src"]?.string ?? "")|\(json["seq"]?.number ?? "")"
            expected.append("\(origin)|\(line)")
            if record.key.map({ String(decoding: $0, as: UTF8.self) }) != json["s"]?.string {
                foreignKeys.append(origin)
            }
        }
        let rows = try await database.column(
            """
            SELECT concat_ws('|', kafka_partition, kafka_offset, source, sequence, \(TradeLine.sql))
            FROM trade_data_finhub ORDER BY kafka_partition, kafka_offset
            """)
        #expect(foreignKeys.count == 0, "\(foreignKeys.count) keys are not their symbols: \(foreignKeys.prefix(5))")
        #expect(rows.count == expected.count)
        expectSameOrder(rows, expected)
    }

    /// Expects two lists to be equal, and shows the first difference only.
    func expectSameOrder(_ found: some Collection<String>, _ expected: some Collection<String>) {
        let first = zip(found, expected).first { $0 != $1 }
        #expect(first == nil, "found \(first?.0 ?? "") where \(first?.1 ?? "") must come")
    }

    /// Expects of each row what must hold whatever was sent.
    func expectSoundRows(rejected: Int = 0) async throws {
        let rules = [
            "ids are unique": "SELECT count(*) - count(DISTINCT id) FROM trade_data_finhub",
            "source and sequence are unique":
                "SELECT count(*) - count(DISTINCT (source, sequence)) FROM trade_data_finhub",
            "partition and offset are unique in a log":
                "SELECT count(*) - count(DISTINCT (id >> 51, kafka_partition, kafka_offset)) FROM trade_data_finhub",
            "sequences rise with the offsets of a partition":
                """
            SELECT count(*) FROM (SELECT sequence, lag(sequence) OVER (
                PARTITION BY id >> 51, kafka_partition, source ORDER BY kafka_offset) AS before FROM trade_data_finhub)
                AS rows WHERE sequence <= before
            """,
            "a symbol stays in one partition":
                """
            SELECT count(*) FROM (SELECT 1 FROM trade_data_finhub GROUP BY id >> 51, symbol
                HAVING count(DISTINCT kafka_partition) > 1) AS symbols
            """,
            "times rise from step to step":
                "SELECT count(*) FROM trade_data_finhub WHERE NOT (to_kafka <= to_consumer AND to_consumer <= to_db)",
        ]
        for (rule, sql) in rules { #expect(try await database.number(sql) == 0, "\(rule)") }
        #expect(try await database.number("SELECT count(*) FROM rejected_trade") == rejected)
    }

    /// Expects every KPI table to equal plain SQL over the raw rows; returns how many rows differ.
    func expectEqualKPIs() async throws -> Int {
        // What the consumer stored after the last look of a kpi-service that has been stopped.
        try await database.execute("SELECT fold_ingest_batches(1000000)")
        var differences = 0
        for comparison in KPIComparison.all {
            let (count, examples) = try await comparison.differences(in: database)
            #expect(count == 0, "\(comparison.name): \(examples.joined(separator: "; "))")
            #expect(try await database.number("SELECT count(*) FROM (\(comparison.kept)) AS kept") > 0)
            differences += count
        }
        return differences
    }

    /// The same with the thresholds as they are, and with others.
    func expectEqualKPIsAtAllThresholds() async throws -> Int {
        let before = try await expectEqualKPIs()
        try await database.execute(
            """
            UPDATE threshold SET value = CASE id WHEN 1 THEN 10 WHEN 2 THEN 7 ELSE 3 END WHERE id IN (1, 2, 3)
            """)
        return try await before + expectEqualKPIs()
    }
}
