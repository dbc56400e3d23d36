import ExactlyOnce
import Postgres
import ServiceKit

extension Program.Command {
    /// `kpi-service verify`
    static let verify = Program.Command(
        "verify", "Compare rollups, KPI views and counts with plain SQL over the raw rows.",
        details: """
            Prints each difference, and nothing else but what could not be compared; ends with status 1 when there are any.
            All is asked of one snapshot, so programs may run meanwhile; what kpi-service has not read yet counts as unread.
            The range is widened to whole hours. docs/verification.md says what is compared.
            """,
        settings: [HourRange.from, HourRange.to, VerifyCommand.limit],
        ignoring: readingOptions, run: VerifyCommand.run)
}

private enum VerifyCommand {
    static let limit = Setting<Int>(
        "differences", default: "20", help: "How many differences of each table are printed; all are counted.",
        rule: { 0...100_000 ~= $0 ? nil : "must be from 0 to 100000" })

    @Sendable static func run(_ configuration: Configuration, _ logger: Logger) throws {
        let range = try HourRange(configuration)
        ServiceGroup.allowSignals()
        let database = try DatabaseOptions.configuration(configuration, applicationName: "kpi-service verify")
        try requireSchema(of: database)
        var verification = Verification(
            try PostgresConnection(database), range, repeats: configuration[RepeatRule.setting])
        let result = try verification.run(telling: configuration[limit]) { print($0.visible) }
        print("checked=\(result.checked) differences=\(result.differences) unread=\(result.unread)")
        guard result.differences == 0 else { throw VerificationError.differences(result.differences) }
    }
}
