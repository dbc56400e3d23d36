import ExactlyOnce
import Postgres
import ServiceKit
import TradeModel

/// Keeps the partitions of one table: made ahead, made for late days, and dropped when their time is over.
struct PartitionMaintenance: Sendable {
    /// Days that have a partition ahead: they bridge a weekend on which none could be made.
    static let daysAhead = 3
    /// Another day gets a partition when it has so many rows; a stray time does not.
    static let rowsWorthAPartition = 10_000
    /// And so many days after it: an old topic is read from its beginning on, and the next day's rows come soon.
    static let daysAfterALateOne = 31
    /// More rows than this are not moved, since that is one transaction: they stay in the default partition.
    static let rowsMovedAtMost = 5_000_000
    /// Rows that one transaction deletes from the default partition.
    static let rowsTrimmedAtOnce = 20_000
    /// How often the default partition is looked at although it has not changed in size.
    static let fullLookInterval = Duration.seconds(600)

    private let table: DailyTable
    private let logger: Logger
    private let metrics: MaintenanceMetrics
    private var lookedAt: (bytes: Int64, day: Int, moment: ContinuousClock.Instant)?

    init(_ table: DailyTable, logger: Logger, metrics: MaintenanceMetrics) {
        self.table = table
        self.logger = logger
        self.metrics = metrics
    }

    /// Does all that is to be done on a day, as far as it is not done. Costs one short query when there is nothing.
    /// - Throws: `AnotherMaintains`; `PostgresError`, after which what is left is done next time.
    mutating func run(today: Int, _ connection: inout PostgresConnection) throws {
        let oldest = table.retention.map { today - $0.days } ?? .min
        let newest = today + Self.daysAhead
        var state = try table.state(&connection)
        let missing = (max(oldest, today - table.daysBehind)...newest).filter {
            state.partitions[$0] == nil
        }
        if !missing.isEmpty || isLookDue(state, today) {
            var strays = try table.defaultDays(&connection)
            let late = strays.filter { day, rows in oldest...newest ~= day && rows >= Self.rowsWorthAPartition }.keys
            let next = late.flatMap { $0...min($0 + Self.daysAfterALateOne, newest) }
            // First those that have no rows yet, so that none of theirs are to be moved.
            for day in Set(missing + next).sorted(by: { (strays[$0] ?? 0, $0) < (strays[$1] ?? 0, $1) })
            where state.partitions[day] == nil {
                try make(day, &strays, &connection)
            }
            if strays.keys.contains(where: { $0 < oldest }) {
                try trim(before: oldest, &connection)
                strays = strays.filter { $0.key >= oldest }
            }
            metrics.defaultRows.set(Int64(strays.values.reduce(0, +)))
            state = try table.state(&connection)
            lookedAt = (state.defaultBytes, today, .now)
        }
        for (day, partition) in state.partitions.sorted(by: { $0.key < $1.key }) where day < oldest {
            try drop(day, partition, &connection)
            state.partitions[day] = nil
        }
        metrics.partitions.set(Int64(state.partitions.count))
    }

    private func isLookDue(_ state: DailyTable.State, _ today: Int) -> Bool {
        guard let lookedAt else { return true }
        return lookedAt.bytes != state.defaultBytes || lookedAt.day != today
            || ContinuousClock.now - lookedAt.moment >= Self.fullLookInterval
    }

    /// Makes the partition of a day, unless that has too many of the rows that strayed.
    private func make(_ day: Int, _ strays: inout [Int: Int], _ connection: inout PostgresConnection) throws {
        let rows = strays[day] ?? 0
        guard rows <= Self.rowsMovedAtMost else {
            logger.warning(
                "a day has too many rows in the default partition to be given its own; they stay there",
                ["table": table.name, "day": Self.text(day), "rows": rows])
            return
        }
        guard let moved = try table.make(day, &connection) else { return }
        strays[day] = nil
        metrics.made.increment()
        metrics.moved.increment(by: Int64(moved))
        logger.info("made a partition", ["table": table.name, "day": Self.text(day), "rows.moved": moved])
    }

    private func drop(_ day: Int, _ partition: String, _ connection: inout PostgresConnection) throws {
        guard try table.drop(day, &connection) else { return }
        metrics.dropped.increment()
        logger.info(
            "dropped a partition whose time is over", ["table": table.name, "partition": partition])
    }

    private func trim(before day: Int, _ connection: inout PostgresConnection) throws {
        var total = 0
        while true {
            let deleted = try table.trimDefault(before: day, atMost: Self.rowsTrimmedAtOnce, &connection)
            total += deleted
            guard deleted == Self.rowsTrimmedAtOnce else { break }
        }
        metrics.trimmed.increment(by: Int64(total))
        logger.info(
            "deleted rows from the default partition whose time is over", ["table": table.name, "rows": total])
    }

    /// The date, such as `2026-11-21`.
    private static func text(_ day: Int) -> String {
        String(Timestamp(milliseconds: Int64(day) * 86_400_000).description.prefix(10))
    }
}
