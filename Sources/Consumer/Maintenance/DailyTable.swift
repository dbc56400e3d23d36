import ExactlyOnce
import Postgres

/// A table with a partition a day, and what may be done to its partitions: by the functions of the schema, each call in a
/// transaction of its own. Days are counted from 1970-01-01, UTC.
struct DailyTable: Sendable {
    /// What the database says of a table's partitions.
    struct State {
        /// The partitions' names by their day.
        var partitions: [Int: String] = [:]
        /// The size of the default partition, which tells whether it has changed.
        var defaultBytes: Int64 = 0
    }

    let name: String
    /// How many days back there are partitions whatever comes.
    let daysBehind: Int
    /// How long rows are kept; nil means for ever.
    let retention: Retention?

    func state(_ connection: inout PostgresConnection) throws(PostgresError) -> State {
        let rows = try connection.query(
            "SELECT partition, day - date '1970-01-01', bytes FROM daily_partition WHERE daily_table = $1",
            parameters: [.text(name)])
        var state = State()
        for row in 0..<rows.rowCount {
            if let day = rows.int64(row, 1) {
                state.partitions[Int(day)] = rows.string(row, 0)
            } else {
                state.defaultBytes = rows.int64(row, 2) ?? 0
            }
        }
        return state
    }

    /// How many rows of which days are in the default partition. Reads all of it.
    func defaultDays(_ connection: inout PostgresConnection) throws(PostgresError) -> [Int: Int] {
        let rows = try connection.query(
            "SELECT day - date '1970-01-01', row_count FROM tickstream_default_days($1)", parameters: [.text(name)])
        var days: [Int: Int] = [:]
        for row in 0..<rows.rowCount {
            days[Int(rows.int64(row, 0) ?? 0)] = Int(rows.int64(row, 1) ?? 0)
        }
        return days
    }

    /// Makes the partition of a day, with what the default partition has of it.
    /// - Returns: how many rows were moved; nil when the partition was there.
    func make(_ day: Int, _ connection: inout PostgresConnection) throws -> Int? {
        try alone(
            "tickstream_make_day($1, date '1970-01-01' + $2::int)", [.text(name), .integer(Int64(day))], &connection)
    }

    /// Drops the partition of a day with all its rows.
    /// - Returns: whether there was one.
    func drop(_ day: Int, _ connection: inout PostgresConnection) throws -> Bool {
        try alone(
            "tickstream_drop_day($1, date '1970-01-01' + $2::int)::int", [.text(name), .integer(Int64(day))],
            &connection) == 1
    }

    /// Deletes rows of days before the given one from the default partition, so many at most.
    /// - Returns: how many.
    func trimDefault(before day: Int, atMost limit: Int, _ connection: inout PostgresConnection) throws -> Int {
        try alone(
            "tickstream_trim_default($1, date '1970-01-01' + $2::int, $3)",
            [.text(name), .integer(Int64(day)), .integer(Int64(limit))], &connection) ?? 0
    }

    /// Calls a function as the only maintainer, in the transaction that this statement is.
    private func alone(
        _ call: String, _ parameters: [PostgresParameter], _ connection: inout PostgresConnection
    ) throws -> Int? {
        let answer = try connection.query(
            "SELECT alone, CASE WHEN alone THEN \(call) END FROM tickstream_maintain() AS alone",
            parameters: parameters)
        guard answer.bool(0, 0) == true else { throw AnotherMaintains() }
        return answer.int64(0, 1).map { Int($0) }
    }
}

/// Another consumer makes or drops partitions at this moment, so that there is nothing to do here.
struct AnotherMaintains: Error {}

extension PostgresError {
    /// Whether a lock was not to be had in time.
    var isLockTimeout: Bool { sqlState == "55P03" }
}
