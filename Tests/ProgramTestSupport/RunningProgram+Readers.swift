extension RunningProgram {
    /// The programs that read the topic of trades.
    package static let readers = ["consumer", "kpi-service"]

    /// Starts `consumer` or `kpi-service`.
    package static func reader(
        _ name: String, _ broker: Broker, _ databaseURL: String, _ arguments: [String] = [],
        _ environment: [String: String] = [:]
    ) throws -> RunningProgram {
        try RunningProgram(
            name,
            broker.arguments(of: name)
                + [name == "consumer" ? "--consumer-group" : "--kpi-group", broker.group(of: name)] + arguments,
            environment.merging(["DATABASE_URL": databaseURL]) { given, _ in given })
    }
}
