import ExactlyOnce
import Kafka
import KafkaService
import Postgres
import ServiceKit

extension Program.Command {
    /// `consumer ledger reset`
    static let ledgerReset = Program.Command(
        "ledger reset", "Move readers to another offset, also of partitions that are not read on because of a fault.",
        details: """
            All is done in one transaction or not at all. Readers may run: one that owns the partition stores nothing more
            of it, claims it anew, and goes on from there. A fault is cleared.

            Forward, what is skipped is written down in the table feed_event (kind records_skipped), once for all readers.

            Backward, or to the same offset, which is what a topic that was deleted and made anew needs: the offsets may
            mean other records than before, so the reader goes on in a new generation of the log, with row ids of its own.
            The marks of the sources are kept: a record that has no greater number than its source's mark is skipped as sent
            again, so nothing is stored twice (and nothing, either, that was passed over before). A record without a
            number, which is none that its topic is for, is rejected once more.

            Without --reader, all readers are moved that have a position there. When only one of consumer and kpi-service
            is moved, the rollups differ from the raw rows, until the other one is moved likewise.
            """,
        settings: [
            LedgerResetCommand.topic, LedgerResetCommand.partition, LedgerResetCommand.target,
            LedgerResetCommand.reader, LedgerResetCommand.dryRun,
        ],
        ignoring: readingOptions + [KafkaOptions.topic], run: LedgerResetCommand.run)
}

private enum LedgerResetCommand {
    static let topic = Setting<String>(
        "topic", isRequired: true, help: "The topic, in the cluster of the brokers named.")
    static let partition = Setting<PartitionChoice>(
        "partition", isRequired: true, help: "The partition's number, or all that the readers have a position in.")
    static let target = Setting<ResetTarget>(
        "to", isRequired: true,
        help: "The offset of the next record to store; earliest, the log's first; or latest, the one behind its last.")
    static let reader = Setting<String>("reader", help: "Only this reader, such as consumer or kpi-service.")
    static let dryRun = Setting<Bool>("dry-run", default: "false", help: "Say what would be done, and change nothing.")

    @Sendable static func run(_ configuration: Configuration, _ logger: Logger) throws {
        let database = try DatabaseOptions.configuration(configuration, applicationName: "consumer ledger")
        try requireSchema(of: database)
        let client = try KafkaClient(
            settings: try KafkaOptions.complete(
                .client(bootstrapServers: configuration[KafkaOptions.bootstrapServers]), from: configuration),
            events: KafkaEvents(logger: logger))
        let selection = LedgerPosition.Selection(
            reader: configuration[optional: reader], cluster: try client.clusterID(timeout: .seconds(10)),
            topic: configuration[topic], partition: configuration[partition].number)
        var connection = try PostgresConnection(database)
        try connection.begin()
        try connection.execute("SET LOCAL lock_timeout = '30s'")
        let resets = try LedgerReset.apply(selection, &connection) { position in
            let place = TopicPartition(topic: position.topic, partition: position.partition)
            let log = try client.watermarks(place, timeout: .seconds(5))
            return try configuration[target].offset(in: log, of: place)
        }
        guard !resets.isEmpty else { throw ResetError.noPosition(selection) }
        if configuration[dryRun] {
            try connection.rollback()
            print("This would be done; nothing was changed:")
        } else {
            try connection.commit()
        }
        for reset in resets { print(describe(reset).visible) }
    }

    /// What was done, as `consumer: trades [3] 120 → 500, …`.
    private static func describe(_ reset: LedgerReset) -> String {
        let (before, after) = (reset.before, reset.after)
        var text = "\(before.reader): \(before.topic) [\(before.partition)] \(before.nextOffset) → \(after.nextOffset)"
        if reset.skipped > 0 { text += ", \(reset.skipped) records skipped" }
        text += ", epoch \(before.epoch) → \(after.epoch), generation \(before.generation)"
        if after.generation != before.generation { text += " → \(after.generation)" }
        if let fault = before.fault { text += ", was halted: \(fault)" }
        return text
    }
}

/// A partition, or all.
enum PartitionChoice: SettingValue, Hashable {
    case all
    case one(Int32)

    static var typeName: String { "a number from 0 to 2047, or all" }

    init?(settingText text: String) {
        if text == "all" {
            self = .all
        } else if let number = Int32(text), RowID.partitions.contains(number) {
            self = .one(number)
        } else {
            return nil
        }
    }

    /// nil for all.
    var number: Int32? { if case .one(let number) = self { number } else { nil } }
}

/// Where a reader is to go on.
enum ResetTarget: SettingValue, Hashable {
    case earliest
    case latest
    case offset(Int64)

    static var typeName: String { "an offset, earliest or latest" }

    init?(settingText text: String) {
        switch text {
        case "earliest": self = .earliest
        case "latest": self = .latest
        default:
            guard let offset = Int64(text), RowID.offsets.contains(offset) else { return nil }
            self = .offset(offset)
        }
    }

    /// The offset in a log from `low` up to, and without, `high`.
    func offset(in log: (low: Int64, high: Int64), of place: TopicPartition) throws(ResetError) -> Int64 {
        switch self {
        case .earliest: return log.low
        case .latest: return log.high
        case .offset(let offset):
            guard log.low...log.high ~= offset else {
                throw .outsideOfLog(place, offset: offset, first: log.low, end: log.high)
            }
            return offset
        }
    }
}

/// Why no position was moved.
enum ResetError: Error, CustomStringConvertible {
    case noPosition(LedgerPosition.Selection)
    case outsideOfLog(TopicPartition, offset: Int64, first: Int64, end: Int64)

    var description: String {
        switch self {
        case .noPosition(let selection):
            "\(selection.reader ?? "no reader") has \(selection.reader == nil ? "a" : "no") position in topic "
                + "\(selection.topic ?? "") \(selection.partition.map { "[\($0)] " } ?? "")of the cluster "
                + "\(selection.cluster ?? ""): 'consumer ledger show' lists those that there are"
        case .outsideOfLog(let place, let offset, let first, let end):
            "offset \(offset) is not in \(place), which has the offsets from \(first) up to its end at \(end); nothing "
                + "was changed"
        }
    }
}
