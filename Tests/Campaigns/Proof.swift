import Foundation
import Postgres
import TradeModel

/// What became of each trade that the simulator had handed to the kernel while the producer was connected, asked of the
/// database: the recording stands beside the rows, and queries compare.
struct Proof: CustomStringConvertible {
    private let sent: Int
    private let stored: Int
    private let lost: Int
    private let doubled: Int
    private let inTheMiddle: Int
    private let withoutGap: Int
    private let verification: KPIVerification
    private let rejected: Int

    /// Nothing is doubled; and what is missing was on its way when a producer was killed, and stands as a gap.
    var holds: Bool {
        sent > 0 && doubled == 0 && inTheMiddle == 0 && withoutGap == 0 && verification.holds && rejected == 0
    }

    var description: String {
        "sent=\(sent) stored=\(stored) on_the_way_at_a_kill=\(lost) in_the_middle=\(inTheMiddle) "
            + "without_gap=\(withoutGap) doubled=\(doubled) rejected=\(rejected) \(verification)"
    }

    init(recording: String, databaseURL: String, _ verification: KPIVerification) throws {
        self.verification = verification
        var connection = try PostgresConnection(PostgresConfiguration(databaseURL, applicationName: "campaign"))
        try connection.execute("SET TimeZone = 'UTC'; SET work_mem = '256MB'")
        try Self.load(recording, &connection)
        try connection.execute(Self.compare)
        func number(_ sql: String) throws -> Int { Int(try connection.query(sql).int64(0, 0) ?? -1) }
        sent = try number("SELECT count(*) FROM sent")
        stored = try number("SELECT count(*) FROM trade_data_finhub")
        lost = try number("SELECT count(*) FROM fate WHERE row_id IS NULL AND position IS NOT NULL")
        doubled =
            try number("SELECT count(*) FROM fate WHERE position IS NULL")
            + (try number(
                "SELECT count(*) FROM (SELECT 1 FROM trade_data_finhub GROUP BY source, sequence HAVING count(*) > 1) AS s"
            ))
        inTheMiddle = try number(
            """
            SELECT count(*) FROM fate JOIN heard USING (connection)
            WHERE row_id IS NULL AND fate.position < heard.last_position
            """)
        // A gap begins not after the last trade that was heard on the connection, and ends with the next connection.
        withoutGap = try number(
            """
            SELECT count(*) FROM fate LEFT JOIN heard USING (connection)
            WHERE row_id IS NULL AND position IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM feed_gap
                WHERE gap_from <= coalesce(heard.last_heard, fate.sent_at)
                    AND coalesce(gap_to, 'infinity') >= fate.sent_at)
            """)
        rejected = try number("SELECT count(*) FROM rejected_trade")
    }

    /// Puts the recording's trades into the table `sent`, in their order.
    private static func load(_ recording: String, _ connection: inout PostgresConnection) throws {
        try connection.execute(
            """
            CREATE TABLE sent (
                position bigint, connection int, sent_at timestamptz, symbol text, price numeric, milliseconds bigint,
                volume numeric)
            """)
        guard let file = fopen(recording, "r") else { throw CampaignError("there is no recording at \(recording)") }
        defer { fclose(file) }
        var parser = FeedParser()
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var position = 0
        var failure: CampaignError?
        _ = try connection.copyIn("COPY sent FROM STDIN") { stream throws(PostgresError) in
            var rows = ByteWriter(capacity: 1 << 17)
            while true {
                let length = getline(&line, &capacity, file)
                guard length > 0 else { break }
                let bytes = UnsafeRawBufferPointer(start: line, count: length).bindMemory(to: UInt8.self)
                guard let entry = try? JSONObject(bytes.span), let number = entry.number("connection") else {
                    failure = CampaignError("a line of the recording cannot be read: \(String(cString: line!))")
                    break
                }
                guard let frame = entry.string("frame"), entry.string("fault") == nil else { continue }
                _ = parser.parse(Array(frame.utf8).span)
                for trade in parser.trades {
                    rows.write(Int64(position))
                    position += 1
                    rows.write("\t")
                    rows.write(Int64(number.coefficient))
                    rows.write("\t")
                    rows.write(entry.string("time") ?? "")
                    rows.write("\t")
                    trade.symbol.withBytes { rows.write($0) }
                    rows.write("\t")
                    rows.write(trade.price)
                    rows.write("\t")
                    rows.write(trade.time.milliseconds)
                    rows.write("\t")
                    rows.write(trade.volume)
                    rows.write("\n")
                }
                if rows.count > 1 << 16 {
                    try stream.send(rows.withBytes { Array($0) })
                    rows.clear()
                }
            }
            try stream.send(rows.withBytes { Array($0) })
        }
        if let failure { throw failure }
    }

    /// Holds the n-th of identical trades that were sent against the n-th that stands in the table.
    private static let compare = """
        CREATE TABLE fate AS
        WITH sent AS (
            SELECT *, row_number() OVER (
                PARTITION BY symbol, price, milliseconds, volume ORDER BY position) AS nth FROM sent),
        stored AS (
            SELECT id AS row_id, to_kafka, symbol, price, (extract(epoch FROM "timestamp") * 1000)::bigint AS milliseconds,
                volume, row_number() OVER (
                    PARTITION BY symbol, price, "timestamp", volume ORDER BY sequence) AS nth FROM trade_data_finhub)
        SELECT position, connection, sent_at, row_id, to_kafka
        FROM sent FULL JOIN stored USING (symbol, price, milliseconds, volume, nth);
        CREATE TABLE heard AS
        SELECT connection, max(position) AS last_position, max(to_kafka) AS last_heard
        FROM fate WHERE row_id IS NOT NULL AND position IS NOT NULL GROUP BY connection;
        ANALYZE fate;
        ANALYZE heard
        """
}
