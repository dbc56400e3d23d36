import ExactlyOnce
import Kafka
import KafkaService
import Postgres
import ServiceKit
import TradeModel

extension Program.Command {
    /// `consumer rejected retry`
    static let rejectedRetry = Program.Command(
        "rejected retry", "Give rejected trades that are accepted now to consumer and kpi-service once more.",
        details: """
            For after an update, or after a constraint was loosened. A record that is a trade now is sent through the topic
            of the trades again, for both readers, under the source 'retry' and a number that is kept in the database
            before it is sent. When Kafka has acknowledged it, it is deleted here. Whatever happens in between, it is
            stored once: a run that was interrupted is made good by the next one, whose records have the same numbers, and
            the readers know them.

            What only the database had refused, kpi-service has counted already: such a trade is stored at once, under the
            id that it has. What is no trade still stays, and is named. Events are not sent again: what they tell is over.
            """,
        settings: RejectedSelection.settings,
        ignoring: readingOptions, run: retry)
}

@Sendable
private func retry(_ configuration: Configuration, _ logger: Logger) throws {
    let selection = try RejectedSelection(configuration)
    let database = try DatabaseOptions.configuration(configuration, applicationName: "consumer rejected")
    try requireSchema(of: database)
    let sender = try RetrySender(
        KafkaOptions.complete(
            .producer(bootstrapServers: configuration[KafkaOptions.bootstrapServers]), from: configuration),
        topic: configuration[KafkaOptions.topic], logger: logger)
    var retries = RejectedRetries(try PostgresConnection(database), sender)
    let left = try retries.sendNumbered()
    if left > 0 { print("\(left) records that an interrupted run had left were sent") }
    let outcome = try retries.run(selection) { print($0.visible) }
    print("\(outcome.sent) records sent, \(outcome.stored) stored, \(outcome.kept) kept")
}
