import Postgres
import ServiceKit
import TradeModel

/// Which rejected records a command is about: one of three ways to say it, so that none is taken by mistake.
struct RejectedSelection {
    static let id = Setting<Int>("id", help: "The record with this id.")
    static let reason = Setting<String>(
        "reason", help: "The records that were rejected for this reason, such as missing_field.",
        rule: {
            let known = RejectionReason.allCases.map(\.rawValue)
            return known.contains($0) ? nil : "must be one of \(known.joined(separator: ", "))"
        })
    static let all = Setting<Bool>("all", default: "false", help: "All records.")
    static let settings: [any AnySetting] = [id, reason, all]

    /// The condition on `rejected_trade` for `parameters`.
    static let condition = "($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR reason = $2)"
    let parameters: [PostgresParameter]

    init(_ configuration: Configuration) throws(ConfigurationError) {
        let (id, reason) = (configuration[optional: Self.id], configuration[optional: Self.reason])
        guard [id != nil, reason != nil, configuration[Self.all]].count(where: { $0 }) == 1 else {
            throw ConfigurationError("say which records: one of --id, --reason and --all")
        }
        parameters = [id.map { .integer(Int64($0)) } ?? .null, reason.map { .text($0) } ?? .null]
    }
}
