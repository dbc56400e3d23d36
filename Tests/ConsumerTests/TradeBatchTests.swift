import DatabaseTestSupport
import ExactlyOnce
import Kafka
import KafkaTestSupport
import Postgres
import ServiceKit
import TestSupport
import Testing
import TradeModel

@testable import Consumer

@Suite(.timeLimit(.minutes(10))) struct TradeBatchTests {
    private static func json(
        price: String = "1.5", volume: String = "2", time: String = "1721555886208", conditions: String? = "null",
        source: String = "producer", sequence: Int = 77
    ) -> String {
        #"{"s":"BINANCE:BTCUSDT","p":\#(price),"t":\#(time),"v":\#(volume),"#
            + (conditions.map { #""c":\#($0),"# } ?? "")
            + #""to_kafka":"2024-07-21T09:38:06.254321Z","src":"\#(source)","seq":\#(sequence),"repeat":3}"#
    }

    /// As PostgreSQL prints a `bytea`.
    private static func hex(_ bytes: [UInt8]) -> String {
        "\\x" + bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func makeBatch() -> TradeBatch {
        TradeBatch(metrics: ConsumerMetrics(MetricsRegistry(), topic: "trades"))
    }

    /// Gathers records, and stores them in one transaction.
    private static func store(_ values: [[UInt8]?], in database: TestDatabase) throws {
        let batch = makeBatch()
        var marks = SourceMarks()
        try Records().forEach(values) {
            batch.append($0, id: RowID.of(log: 1, partition: 0, offset: $0.offset), marks: &marks)
        }
        var connection = try database.connect()
        try connection.begin()
        try batch.write(to: &connection)
        try connection.commit()
    }

    private static func store(_ values: [String], in database: TestDatabase) throws {
        try store(values.map { Array($0.utf8) }, in: database)
    }

    /// Gathers records and stores them as the writer does: by one statement, or in steps.
    private static func store(
        _ values: [String], byOneStatement: Bool, in database: TestDatabase, reusing batch: TradeBatch = makeBatch()
    ) throws {
        batch.reset()
        var marks = SourceMarks()
        try Records().forEach(values.map { Array($0.utf8) }) {
            batch.append($0, id: RowID.of(log: 1, partition: 0, offset: $0.offset), marks: &marks)
        }
        var connection = try database.connect()
        if byOneStatement {
            let call = try #require(try batch.call())
            try connection.executeAndCommit("SELECT \(call.expression)", parameters: call.parameters)
        } else {
            try connection.begin()
            try batch.write(to: &connection)
            try connection.commit()
        }
    }

    @Test func `one statement stores what COPY stores`() async throws {
        let database = try await TestDatabase()
        let batch = Self.makeBatch()
        var random = SplitMix64(seed: 7)
        let prices = ["1.50", "0.0000001", "99999999999999999999999999999999999999", "66972.77", "10000", "12.30e1"]
        let conditions = [#"["1","8"]"#, #"[ "1" , "ü😀" ]"#, #"["\u00fc\"\\","{}",","]"#, "[]", "null", nil]
        for count in [1, 2, TradeBatch.maximumInOneStatement] {
            let values = (0..<count).map { number in
                Self.json(
                    price: prices[random.below(prices.count)], volume: random.oneIn(3) ? "0.00" : "\(random.below(9))",
                    time: "\(random.below(4_000_000_000_000))", conditions: conditions[random.below(conditions.count)],
                    source: ["retry", "one", "it's {\\\"}"][random.below(3)], sequence: number)
            }
            let tables = try [false, true].map { byOneStatement in
                try database.execute("TRUNCATE trade_data_finhub, ingest_batch")
                try Self.store(values, byOneStatement: byOneStatement, in: database, reusing: batch)
                return [
                    try database.rows(
                        """
                        SELECT id, symbol, price, "timestamp", volume, conditions, to_kafka, to_consumer <= to_db,
                            kafka_partition, kafka_offset, source, sequence, repeat
                        FROM trade_data_finhub ORDER BY id
                        """),
                    try database.rows(
                        """
                        SELECT log_id, kafka_partition, first_offset, next_offset, row_count, retried, rejected, resent,
                            feed_to_kafka_negative, feed_to_kafka_sum, feed_to_kafka_min, feed_to_kafka_max,
                            feed_to_kafka_buckets, feed_to_kafka_counts, cardinality(feed_to_db_buckets) > 0,
                            committed_at = (SELECT max(to_db) FROM trade_data_finhub)
                        FROM ingest_batch
                        """),
                ]
            }
            #expect(tables[0][0].count == count && tables[0][1].count == 1)
            #expect(tables[1] == tables[0])
        }
    }

    @Test func `what is more than trades, or many, is stored in steps`() async throws {
        func isCall(_ values: [String]) throws -> Bool {
            let batch = Self.makeBatch()
            var marks = SourceMarks()
            try Records().forEach(values.map { Array($0.utf8) }) {
                batch.append($0, id: RowID.of(log: 1, partition: 0, offset: $0.offset), marks: &marks)
            }
            return try batch.call() != nil
        }
        let most = TradeBatch.maximumInOneStatement
        #expect(try !isCall([]))
        #expect(try isCall((0..<most).map { Self.json(sequence: $0) }))
        #expect(try !isCall((0...most).map { Self.json(sequence: $0) }))
        #expect(try !isCall([Self.json(), "no JSON"]))
        #expect(try !isCall(["no JSON"]))
    }

    @Test(arguments: [true, false])
    func `rows that the table does not take are noticed`(byOneStatement: Bool) async throws {
        let database = try await TestDatabase()
        try database.execute(
            """
            CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
            CREATE TRIGGER swallow BEFORE INSERT ON trade_data_finhub FOR EACH ROW WHEN (NEW.sequence = 1)
                EXECUTE FUNCTION swallow()
            """)
        let error = #expect(throws: PostgresError.self) {
            try Self.store((0..<3).map { Self.json(sequence: $0) }, byOneStatement: byOneStatement, in: database)
        }
        #expect(error?.message.contains("2 rows where 3 were sent") == true)
        #expect(error?.isRetriable == false && error?.isDataError == false)
        #expect(try database.rows("SELECT count(*) FROM trade_data_finhub") == [["0"]])
    }

    @Test func `of one statement that the database refuses, nothing is stored`() async throws {
        let database = try await TestDatabase()
        try database.execute("ALTER TABLE trade_data_finhub ADD CHECK (sequence <> 1)")
        let error = #expect(throws: PostgresError.self) {
            try Self.store((0..<3).map { Self.json(sequence: $0) }, byOneStatement: true, in: database)
        }
        #expect(error?.isDataError == true)
        #expect(try database.rows("SELECT count(*) FROM trade_data_finhub") == [["0"]])
        #expect(try database.rows("SELECT count(*) FROM ingest_batch") == [["0"]])
    }

    @Test func `prices and volumes stand in the table digit for digit`() async throws {
        let database = try await TestDatabase()
        var forms = [
            ("1", "1"), ("1.50", "1.50"), ("66972.77", "66972.77"), ("0.0000001", "0.0000001"), ("1e-7", "0.0000001"),
            ("1.50E2", "150"), ("1.5e3", "1500"), ("12.30e1", "123.0"), ("10000", "10000"), ("9999.9999", "9999.9999"),
            ("10000.00010000", "10000.00010000"), ("0.00010002", "0.00010002"), ("123.4567", "123.4567"),
            ("1234567890123456789", "1234567890123456789"),
            (String(repeating: "9", count: 38), String(repeating: "9", count: 38)),
            ("0." + String(repeating: "0", count: 37) + "1", "0." + String(repeating: "0", count: 37) + "1"),
            ("0." + String(repeating: "7", count: 38), "0." + String(repeating: "7", count: 38)),
            ("1e-38", "0." + String(repeating: "0", count: 37) + "1"),
        ]
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let whole = String(UInt64.random(in: 1...UInt64.max >> UInt64.random(in: 0..<64), using: &random))
            let places = Int.random(in: 0...18, using: &random)
            let fraction = (0..<places).map { _ in "\(Int.random(in: 0...9, using: &random))" }.joined()
            let text = fraction.isEmpty ? whole : "\(whole).\(fraction)"
            forms.append((text, text))
        }
        try Self.store(forms.enumerated().map { Self.json(price: $1.0, volume: $1.0, sequence: $0) }, in: database)
        let rows = try database.rows("SELECT price::text, volume::text FROM trade_data_finhub ORDER BY id")
        #expect(rows == forms.map { [$0.1, $0.1] })
    }

    @Test func `a volume of nothing keeps its places`() async throws {
        let database = try await TestDatabase()
        try Self.store(["0", "0.00", "0e-3"].enumerated().map { Self.json(volume: $1, sequence: $0) }, in: database)
        #expect(
            try database.rows("SELECT volume::text FROM trade_data_finhub ORDER BY id")
                == [["0"], ["0.00"], ["0.000"]])
    }

    @Test func `every column holds what the record says, and where it stands`() async throws {
        let database = try await TestDatabase()
        try Self.store([Self.json()], in: database)
        #expect(
            try database.rows(
                """
                SELECT id, symbol, price, "timestamp" = '2024-07-21 09:58:06.208Z', volume, conditions,
                    to_kafka = '2024-07-21 09:38:06.254321Z', kafka_partition, kafka_offset, source, sequence, repeat
                FROM trade_data_finhub
                """)
                == [
                    [
                        "\(1 << 51)", "BINANCE:BTCUSDT", "1.5", "t", "2", "NULL", "t", "0", "0", "producer", "77", "3",
                    ]
                ])
        #expect(
            try database.rows(
                """
                SELECT to_consumer <= to_db, to_db <= clock_timestamp(), to_consumer > now() - interval '1 minute'
                FROM trade_data_finhub
                """) == [["t", "t", "t"]])
    }

    @Test func `conditions are kept as they stand, and none at all is NULL`() async throws {
        let database = try await TestDatabase()
        let conditions = [#"["1","8"]"#, #"[ "1" , "ü😀" ]"#, #"["\u00fc\"\\"]"#, "[]", "null", nil]
        try Self.store(conditions.enumerated().map { Self.json(conditions: $1, sequence: $0) }, in: database)
        #expect(
            try database.rows("SELECT conditions FROM trade_data_finhub ORDER BY id")
                == [[#"["1","8"]"#], [#"[ "1" , "ü😀" ]"#], [#"["\u00fc\"\\"]"#], ["[]"], ["NULL"], ["NULL"]])
    }

    @Test func `records that are no trades are stored with their reason, place and payload`() async throws {
        let database = try await TestDatabase()
        let long = String(repeating: "x", count: 48)
        let texts: [(RejectionReason, String)] = [
            (.malformedJSON, "no JSON"), (.malformedJSON, #"{"s":"A","#), (.malformedJSON, ""),
            (.notAnObject, "[1]"), (.missingField, "{}"), (.wrongType, Self.json(price: #""1""#)),
            (.wrongType, Self.json(time: "1.5")), (.numberOutOfRange, Self.json(price: "1e-39")),
            (.numberOutOfRange, Self.json(volume: String(repeating: "9", count: 39))),
            (.priceNotPositive, Self.json(price: "0")), (.priceNotPositive, Self.json(price: "-1")),
            (.volumeNegative, Self.json(volume: "-0.1")), (.timeOutOfRange, Self.json(time: "253402300800000")),
            (.timeOutOfRange, Self.json(time: "-1")),
            (.badText, Self.json().replacing("BINANCE:BTCUSDT", with: long)),
            (.badText, Self.json().replacing("BINANCE:BTCUSDT", with: "")),
        ]
        var cases: [(RejectionReason, [UInt8]?)] = texts.map { ($0.0, Array($0.1.utf8)) }
        cases.append((.malformedJSON, Array(#"{"s":"A"#.utf8) + [0xFF, 0xC0, 0x00]))
        cases.append((.malformedJSON, nil))
        let registry = MetricsRegistry()
        let batch = TradeBatch(metrics: ConsumerMetrics(registry, topic: "trades"))
        var marks = SourceMarks()
        try Records().forEach(cases.map(\.1)) {
            batch.append($0, id: RowID.of(log: 1, partition: 0, offset: $0.offset), marks: &marks)
        }
        var connection = try database.connect()
        try connection.begin()
        try batch.write(to: &connection)
        try connection.commit()

        let expected = cases.enumerated().map { offset, element in
            let id = RowID.of(log: 1, partition: 0, offset: Int64(offset))
            return ["\(id)", "trades", "0", "\(offset)", element.0.rawValue, element.1.map(Self.hex) ?? "NULL"]
        }
        let found = try database.rows(
            "SELECT id, topic, kafka_partition, kafka_offset, reason, payload FROM rejected_trade ORDER BY id")
        #expect(found == expected)
        #expect(
            try database.rows("SELECT bool_and(rejected_at <= clock_timestamp()) FROM rejected_trade") == [["t"]])
        #expect(try database.rows("SELECT count(*) FROM trade_data_finhub") == [["0"]])
        for reason in RejectionReason.allCases {
            let count = cases.count { $0.0 == reason }
            #expect(
                registry.render().contains(
                    "records_rejected_total{reason=\"\(reason.rawValue)\",topic=\"trades\"} \(count)\n"))
        }
        // All that a record can give; the others are the events', the partition's and the database's own.
        #expect(
            Set(cases.map(\.0))
                == Set(RejectionReason.allCases).subtracting([.unknownKind, .tooManySources, .refusedByDatabase]))
    }

    @Test func `trades and rejections of one batch are stored together`() async throws {
        let database = try await TestDatabase()
        try Self.store(
            [
                Self.json(sequence: 1), "nonsense", Self.json(sequence: 2), Self.json(price: "0", sequence: 3),
                Self.json(sequence: 4),
            ], in: database)
        #expect(
            try database.rows(
                """
                SELECT kafka_offset, true FROM trade_data_finhub UNION ALL
                SELECT kafka_offset, false FROM rejected_trade ORDER BY 1
                """) == [["0", "t"], ["1", "f"], ["2", "t"], ["3", "f"], ["4", "t"]])
    }

    @Test func `a batch is full by rows, whether trades or rejections, and empty again after a reset`() throws {
        let batch = Self.makeBatch()
        try Records().forEach([Self.json(), "nonsense"]) { record in
            for id in 0..<Int64(TradeBatch.maximumRows / 2) {
                #expect(!batch.isFull)
                var marks = SourceMarks()
                batch.append(record, id: id, marks: &marks)
            }
        }
        #expect(batch.isFull)
        batch.reset()
        #expect(!batch.isFull)
    }

    @Test func `a batch is full by bytes`() throws {
        let batch = Self.makeBatch()
        let conditions =
            "[" + (0..<100).map { _ in "\"" + String(repeating: "x", count: 9000) + "\"" }.joined(separator: ",") + "]"
        var count = 0
        try Records().forEach([Self.json(conditions: conditions), String(repeating: "x", count: 900_000)]) { record in
            for id in 0..<9 where !batch.isFull {
                var marks = SourceMarks()
                batch.append(record, id: Int64(id), marks: &marks)
                count += 1
            }
        }
        #expect(!batch.isFull)
        try Records().forEach([Self.json(conditions: conditions)]) { record in
            while !batch.isFull {
                var marks = SourceMarks()
                batch.append(record, id: 0, marks: &marks)
                count += 1
                try #require(count < 100)
            }
        }
        #expect(count == TradeBatch.maximumBytes / 900_000 + 1)
    }

    @Test func `a batch that was reset stores only what came after`() async throws {
        let database = try await TestDatabase()
        let batch = Self.makeBatch()
        var connection = try database.connect()
        var marks = SourceMarks()
        let values = [Self.json(sequence: 1), "nonsense", Self.json(volume: "7", sequence: 2), "more nonsense"]
        try Records().forEach(values) { record in
            batch.append(record, id: RowID.of(log: 1, partition: 0, offset: record.offset), marks: &marks)
            if record.offset == 1 {
                try connection.begin()
                try batch.write(to: &connection)
                try connection.rollback()
                batch.reset()
            }
        }
        try connection.begin()
        try batch.write(to: &connection)
        try connection.commit()
        #expect(try database.rows("SELECT kafka_offset, volume FROM trade_data_finhub") == [["2", "7"]])
        #expect(try database.rows("SELECT kafka_offset FROM rejected_trade") == [["3"]])
    }

    @Test func `a trade that was sent again is neither stored nor rejected, whatever it says now`() async throws {
        let database = try await TestDatabase()
        try Self.store(
            [
                Self.json(sequence: 5), Self.json(price: "9", sequence: 5), Self.json(sequence: 4),
                Self.json(source: "other", sequence: 4), Self.json(sequence: 6),
                Self.json(source: "other", sequence: 4),
            ], in: database)
        #expect(
            try database.rows("SELECT kafka_offset, source, sequence, price FROM trade_data_finhub ORDER BY id") == [
                ["0", "producer", "5", "1.5"], ["3", "other", "4", "1.5"], ["4", "producer", "6", "1.5"],
            ])
        #expect(try database.rows("SELECT * FROM rejected_trade").isEmpty)
    }

    @Test func `a record that is no trade has no number, and is rejected each time that it comes`() async throws {
        let database = try await TestDatabase()
        let wrong = Self.json(price: "0", sequence: 9)
        try Self.store([wrong, wrong, Self.json(sequence: 8), "nonsense", "nonsense"], in: database)
        #expect(try database.rows("SELECT sequence FROM trade_data_finhub") == [["8"]])
        #expect(
            try database.rows("SELECT kafka_offset FROM rejected_trade ORDER BY id") == [["0"], ["1"], ["3"], ["4"]])
    }

    @Test func `a trade of one source too many is rejected with its reason`() async throws {
        let database = try await TestDatabase()
        let batch = Self.makeBatch()
        var marks = SourceMarks()
        for index in 0..<SourceMarks.maximumSources {
            #expect(try marks.admit(ShortText("source \(index)")!, 1, at: Int64(index)))
        }
        try Records().forEach([Self.json(), Self.json(source: "source 7", sequence: 2)]) {
            batch.append($0, id: RowID.of(log: 1, partition: 0, offset: $0.offset), marks: &marks)
        }
        var connection = try database.connect()
        try batch.write(to: &connection)
        #expect(
            try database.rows("SELECT kafka_offset, reason FROM rejected_trade") == [["0", "too_many_sources"]])
        #expect(try database.rows("SELECT source FROM trade_data_finhub") == [["source 7"]])
    }

    @Test func `an empty batch stores nothing and is no error`() async throws {
        let database = try await TestDatabase()
        try Self.store([String](), in: database)
        #expect(try database.rows("SELECT * FROM trade_data_finhub").isEmpty)
    }
}
