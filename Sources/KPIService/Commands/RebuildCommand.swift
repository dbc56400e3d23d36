import ExactlyOnce
import Glibc
import Postgres
import ServiceKit

extension Program.Command {
    /// `kpi-service rebuild`
    static let rebuild = Program.Command(
        "rebuild", "Make rollups anew from the raw table, while KPI services run.",
        details: """
            The range is widened to whole hours. Each hour is one transaction, during which KPI services wait and readers
            do not: whoever reads sees the rollups as they were or as they are to be. A row that is right stays untouched.
            How trades that were repeated count is what --repeats says now.

            What is counted is what kpi-service has read, so the consumer must have stored that; it is waited for. A range
            of which trades are gone, as --retain makes them, is refused: a rollup is never replaced by less. The command
            may be ended at any time and run again.
            """,
        settings: [HourRange.from, HourRange.to, RebuildCommand.hold], ignoring: readingOptions,
        run: RebuildCommand.run)
}

private enum RebuildCommand {
    static let hold = Setting<Int>(
        "hold", default: "20", unit: "seconds",
        help: "How long an hour may take, in which KPI services wait; after 30 of them they begin their batch anew.",
        rule: { 1...3600 ~= $0 ? nil : "must be from 1 to 3600" })

    @Sendable static func run(_ configuration: Configuration, _ logger: Logger) throws {
        let range = try HourRange(configuration)
        ServiceGroup.allowSignals()
        let database = try DatabaseOptions.configuration(configuration, applicationName: "kpi-service rebuild")
        try requireSchema(of: database)
        print("making anew whole hours from \(range)")
        var limits = Rebuild.Limits()
        limits.hold = .seconds(configuration[hold])
        var rebuild = Rebuild(
            try PostgresConnection(database), repeats: configuration[RepeatRule.setting], limits: limits)
        var (hours, windows, changed) = (0, 0, 0)
        try rebuild.run(range) { hour in
            (hours, windows, changed) = (hours + 1, windows + hour.windows, changed + hour.changed)
            print("\(hour.hour): \(hour.windows) windows, \(hour.changed) changed, held \(hour.held.milliseconds) ms")
            fflush(nil)
        }
        print("rebuilt=\(hours) windows=\(windows) changed=\(changed)")
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { self / .milliseconds(1) > 0 ? Int64(self / .milliseconds(1)) : 0 }
}
