import ExactlyOnce
import KafkaService
import Postgres
import ServiceKit

extension Program.Command {
    /// `consumer rejected drop`
    static let rejectedDrop = Program.Command(
        "rejected drop", "Delete rejected records for good.", settings: RejectedSelection.settings,
        ignoring: readingOptions + KafkaOptions.all, run: drop)
}

@Sendable
private func drop(_ configuration: Configuration, _ logger: Logger) throws {
    let selection = try RejectedSelection(configuration)
    let database = try DatabaseOptions.configuration(configuration, applicationName: "consumer rejected")
    try requireSchema(of: database)
    var connection = try PostgresConnection(database)
    let count = try connection.execute(
        "DELETE FROM rejected_trade WHERE \(RejectedSelection.condition)", parameters: selection.parameters)
    print("\(count) records dropped")
}
