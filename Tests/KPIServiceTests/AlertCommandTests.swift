import DatabaseTestSupport
import Postgres
import Testing
import TradeModel

@testable import KPIService

@Suite(.timeLimit(.minutes(10))) struct AlertCommandTests {
    private static func lagging(_ database: TestDatabase) throws -> AlertRehearsal {
        let rehearsal = try AlertRehearsal(database, rule: "kind = 'kpi_lag_above', value = 4, closes_at = 2")
        try rehearsal.execute("UPDATE offset_ledger SET next_offset = 90")
        try rehearsal.step()
        #expect(try rehearsal.alerts() == ["open"])
        return rehearsal
    }

    @Test func `an acknowledged alert stays, is not opened again, and closes by itself`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try Self.lagging(database)
            var connection = try database.connect()
            try AlertCommands.apply(.acknowledged, id: 1, by: "me", &connection)
            try rehearsal.step()
            #expect(try rehearsal.alerts() == ["acknowledged"])
            #expect(throws: AlertCommandError.self) {
                try AlertCommands.apply(.acknowledged, id: 1, by: "me", &connection)
            }
            try connection.rollback()
            try rehearsal.execute("UPDATE offset_ledger SET next_offset = 98")
            try rehearsal.step()
            #expect(
                try database.rows("SELECT state, acknowledged_by, acknowledged_at IS NULL, closed_by FROM alert")
                    == [["closed", "me", "f", "NULL"]])
            #expect(try rehearsal.transitions() == ["opened", "acknowledged", "closed"])
        }
    }

    @Test func `what is closed by hand stays closed until its condition was over`() async throws {
        try await TestDatabase.run { database in
            let rehearsal = try Self.lagging(database)
            var connection = try database.connect()
            try AlertCommands.apply(.closed, id: 1, by: nil, &connection)
            for position in [90, 97, 90] {
                try rehearsal.execute("UPDATE offset_ledger SET next_offset = \(position)")
                rehearsal.restart()
                try rehearsal.step()
                #expect(try rehearsal.alerts() == ["closed"])
            }
            #expect(try database.value("SELECT closed_by = current_user FROM alert") == "t")
            for position in [98, 90] {
                try rehearsal.execute("UPDATE offset_ledger SET next_offset = \(position)")
                try rehearsal.step()
            }
            #expect(try rehearsal.alerts() == ["closed", "open"])
            for id in [1, 3] as [Int64] {
                #expect(throws: AlertCommandError.self) {
                    try AlertCommands.apply(.closed, id: id, by: nil, &connection)
                }
                try connection.rollback()
            }
        }
    }
}
