/// The program `consumer` on a full topic and empty tables.
@MainActor
struct TopicToTable: Stage {
    let workload: Workload
    let filled: FilledTopic
    let database: Database

    let name = "topic to table"
    let limitName = "psql \\copy, binary, of the same rows"

    /// Fills the table once, for the file that the limit loads.
    func prepare() async throws {
        _ = try await measure()
        try await database.copyOut("trade_data_finhub")
    }

    func measureLimit() async throws -> Limit {
        try database.clear()
        let time = try await database.copyIn("trade_data_finhub")
        try check()
        return Limit(rate: workload.rate(over: time), cpuSeconds: nil)
    }

    func measure() async throws -> Measurement {
        try database.clear()
        let run = ReaderRun(program: "consumer", groupFlag: "--consumer-group", workload: workload, database: database)
        let measurement = try await run.measure(filled.topic(), group: filled.newGroup())
        try check()
        return measurement
    }

    private func check() throws {
        try database.expect(workload.trades, "SELECT count(*) FROM trade_data_finhub")
        try database.expect(0, "SELECT count(*) FROM rejected_trade")
    }
}
