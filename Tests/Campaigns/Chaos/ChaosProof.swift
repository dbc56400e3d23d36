import Postgres
import TradeModel

/// What became of each trade that Kafka has acknowledged, asked of the database by source and sequence number.
struct ChaosProof: CustomStringConvertible {
    private let trades: Int
    private let lost: Int
    private let doubled: Int
    private let rejected: Int
    private let verification: KPIVerification

    var holds: Bool { trades > 0 && lost == 0 && doubled == 0 && rejected == 0 && verification.holds }

    var description: String {
        "trades=\(trades) lost=\(lost) doubled=\(doubled) rejected=\(rejected) \(verification)"
    }

    init(
        acknowledged: [(source: String, sequence: Int)], databaseURL: String, _ verification: KPIVerification
    ) throws {
        self.verification = verification
        var connection = try PostgresConnection(PostgresConfiguration(databaseURL, applicationName: "campaign"))
        try connection.execute("SET TimeZone = 'UTC'; SET work_mem = '256MB'")
        try connection.execute("CREATE TEMPORARY TABLE acknowledged (source text, sequence bigint)")
        var rows = ByteWriter(capacity: 1 << 20)
        for (source, sequence) in acknowledged { rows.write("\(source)\t\(sequence)\n") }
        let bytes = rows.withBytes { Array($0) }
        _ = try connection.copyIn("COPY acknowledged FROM STDIN") { stream throws(PostgresError) in
            try stream.send(bytes)
        }
        func number(_ sql: String) throws -> Int { Int(try connection.query(sql).int64(0, 0) ?? -1) }
        trades = try number("SELECT count(*) FROM acknowledged")
        lost = try number(
            """
            SELECT count(*) FROM (
                SELECT source, sequence FROM acknowledged EXCEPT SELECT source, sequence FROM trade_data_finhub) AS missing
            """)
        // What a source and number have once too often, and what nobody has sent.
        doubled = try number(
            """
            SELECT (SELECT count(*) - count(DISTINCT (source, sequence)) FROM trade_data_finhub)
                + (SELECT count(*) FROM (
                    SELECT source, sequence FROM trade_data_finhub EXCEPT SELECT source, sequence FROM acknowledged) AS more)
            """)
        rejected = try number("SELECT count(*) FROM rejected_trade")
    }
}
