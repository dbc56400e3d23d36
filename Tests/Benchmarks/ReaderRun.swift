import Glibc

/// A program that reads the topic into the database, from its claim of the partitions to the end of the topic.
@MainActor
struct ReaderRun {
    /// The program's name, which is its name in the ledger as well.
    let program: String
    /// The setting that names its consumer group.
    let groupFlag: String
    let workload: Workload
    let database: Database
    var arguments: [String] = []

    /// Runs the program over a topic; the tables are empty before.
    func measure(_ topic: Topic, group: String) async throws -> Measurement {
        let reader = try MeasuredProgram(
            program,
            [
                "--kafka-bootstrap-servers", topic.bootstrapServers, "--trades-topic", topic.name, groupFlag, group,
            ] + arguments, database: database.connectionString)
        while try database.position(of: program) == nil {
            try reader.checkRunning()
            usleep(5_000)
        }
        let started = ContinuousClock.now
        var watch = Watch(goal: workload.trades)
        while try watch.goesOn(database.position(of: program) ?? 0) { try reader.checkRunning() }
        let time = ContinuousClock.now - started
        let usage = try reader.usage()
        try await reader.stop()
        return Measurement(rate: workload.rate(over: time), usage: usage)
    }
}
