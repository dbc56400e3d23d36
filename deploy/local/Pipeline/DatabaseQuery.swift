import Postgres

/// What is read from the tables at once.
struct DatabaseReading: Sendable {
    var positions: [String: [Int: Int64]] = [:]
    var taken: [String: Int64] = [:]
    var prices: [StatusSnapshot.Price] = []
    var kpis: StatusSnapshot.KPIs?
}

/// The readings of the tables. Every statement follows an index and reads a bounded number of rows, so that it costs
/// the same after a year as in the first minute.
struct DatabaseQuery: Sendable {
    let cluster: String
    let topic: String
    let symbols: [String]

    func run(_ connection: inout PostgresConnection) throws(PostgresError) -> DatabaseReading {
        var reading = DatabaseReading()
        try readLedger(&connection, &reading)
        try readPrices(&connection, &reading)
        try readKPIs(&connection, &reading)
        return reading
    }

    private func readLedger(
        _ connection: inout PostgresConnection, _ reading: inout DatabaseReading
    ) throws(PostgresError) {
        let rows = try connection.query(
            """
            SELECT reader, partition, next_offset, cluster_id = $1
            FROM offset_ledger JOIN topic_log USING (log_id)
            WHERE topic = $2 ORDER BY generation
            """, parameters: [.text(cluster), .text(topic)])
        for reader in StatusSnapshot.readers {
            reading.taken[reader] = 0
            reading.positions[reader] = [:]
        }
        for row in 0..<rows.rowCount {
            guard let reader = rows.string(row, 0), let partition = rows.int64(row, 1), let next = rows.int64(row, 2)
            else { continue }
            reading.taken[reader, default: 0] += next
            if rows.bool(row, 3) == true { reading.positions[reader, default: [:]][Int(partition)] = next }
        }
    }

    /// The last window of each symbol, by the rollups' primary key.
    private func readPrices(
        _ connection: inout PostgresConnection, _ reading: inout DatabaseReading
    ) throws(PostgresError) {
        let rows = try connection.query(
            """
            SELECT wanted.symbol, last.close, extract(epoch FROM clock_timestamp() - last.close_time)
            FROM unnest(string_to_array($1, ',')) WITH ORDINALITY AS wanted (symbol, place)
            LEFT JOIN LATERAL (
                SELECT close, close_time FROM trade_rollup_1s
                WHERE symbol = wanted.symbol ORDER BY window_start DESC LIMIT 1) AS last ON true
            ORDER BY wanted.place
            """, parameters: [.text(symbols.joined(separator: ","))])
        for row in 0..<rows.rowCount {
            reading.prices.append(
                StatusSnapshot.Price(
                    symbol: rows.string(row, 0) ?? "", price: rows.string(row, 1), age: rows.double(row, 2)))
        }
    }

    /// What the KPI views answer, for their last full window only. A window counts as full a second after its end, when
    /// its last trades have come through. The median is that of a thousand trades of the last minute.
    private func readKPIs(
        _ connection: inout PostgresConnection, _ reading: inout DatabaseReading
    ) throws(PostgresError) {
        let rows = try connection.query(
            """
            WITH threshold_values AS MATERIALIZED (
                SELECT threshold_window(3) AS bucket, threshold_window(2) AS span,
                       (SELECT value FROM threshold WHERE id = 1) AS expected),
            ends AS MATERIALIZED (
                SELECT date_bin(bucket, now() - interval '1 s', 'epoch') AS bucket_end,
                       date_bin(span, now() - interval '1 s', 'epoch') AS span_end
                FROM threshold_values)
            SELECT (SELECT coalesce(sum(trades), 0) FROM trade_rollup_1s
                    WHERE window_start >= (SELECT bucket_end - bucket FROM ends, threshold_values)
                      AND window_start < (SELECT bucket_end FROM ends)) / extract(epoch FROM bucket),
                   extract(epoch FROM bucket)::bigint,
                   (SELECT count(DISTINCT symbol) FROM trade_rollup_1s
                    WHERE window_start >= (SELECT span_end - span FROM ends, threshold_values)
                      AND window_start < (SELECT span_end FROM ends)),
                   expected,
                   extract(epoch FROM span)::bigint,
                   (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM latest.process_time)) * 1000
                    FROM (SELECT to_db - "timestamp" AS process_time
                          FROM trade_data_finhub JOIN topic_log ON log_id = id >> 51
                          WHERE cluster_id = $1 AND topic = $2 AND to_db > now() - interval '1 minute'
                          LIMIT 1000) AS latest),
                   (SELECT count(*) FROM (SELECT FROM rejected_trade LIMIT \(StatusSnapshot.countedRejections)) AS counted)
            FROM threshold_values
            """, parameters: [.text(cluster), .text(topic)])
        guard let rate = rows.double(0, 0), let bucket = rows.int64(0, 1), let symbols = rows.int64(0, 2),
            let expected = rows.double(0, 3), let span = rows.int64(0, 4), let rejected = rows.int64(0, 6)
        else { return }
        reading.kpis = StatusSnapshot.KPIs(
            tradesPerSecond: rate, bucketSeconds: Int(bucket), symbols: Int(symbols), expectedSymbols: expected,
            windowSeconds: Int(span), medianProcessTime: rows.double(0, 5), rejected: rejected)
    }
}

extension PostgresResult {
    /// A number for display, as the nearest floating point; `nil` for NULL.
    fileprivate func double(_ row: Int, _ column: Int) -> Double? {
        string(row, column).flatMap { Double($0) }
    }
}
