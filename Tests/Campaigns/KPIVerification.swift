import Foundation
import LocalServers
import Postgres
import Synchronization

/// What `kpi-service verify` says of all that the database has, when all is read.
struct KPIVerification: CustomStringConvertible {
    private let checked: Int
    private let differences: Int
    private let unread: Int

    /// Whether something was compared, and nothing differs.
    var holds: Bool { checked > 0 && differences == 0 && unread == 0 }

    var description: String { "kpi_checked=\(checked) kpi_differences=\(differences) kpi_unread=\(unread)" }

    /// Runs the command, and prints what it says of differences.
    init(databaseURL: String) async throws {
        let lines = Mutex<[String]>([])
        var environment = ProcessInfo.processInfo.environment
        environment["DATABASE_URL"] = databaseURL
        let child = try ChildProcess(
            BuiltPrograms().path(of: "kpi-service"), ["verify", "--to", "9999-12-31", "--log-level", "error"],
            environment: environment, output: .lines { line in lines.withLock { $0.append(line) } })
        guard let status = await child.wait(.seconds(600)) else {
            await child.terminate(grace: .seconds(1))
            throw CampaignError("kpi-service verify does not end")
        }
        let told = lines.withLock { $0 }
        for line in told.dropLast() { print(line) }
        let closing = /checked=(\d+) differences=(\d+) unread=(\d+)/
        guard let match = told.last?.wholeMatch(of: closing), let checked = Int(match.1),
            let differences = Int(match.2),
            let unread = Int(match.3)
        else { throw CampaignError("kpi-service verify \(status), and said: \(told.suffix(3))") }
        guard status.isSuccess == (differences == 0) else {
            throw CampaignError("kpi-service verify \(status) with \(differences) differences")
        }
        (self.checked, self.differences, self.unread) = (checked, differences, unread)
    }
}

extension PostgresConnection {
    /// How many records all readers have stored, by their positions.
    mutating func storedRecords() throws -> Int {
        Int(try query("SELECT coalesce(sum(next_offset), 0) FROM offset_ledger").int64(0, 0) ?? 0)
    }
}
