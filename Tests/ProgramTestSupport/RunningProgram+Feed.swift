import TestSupport

extension RunningProgram {
    /// Starts the feed simulator on a free port; returns it with its address.
    package static func simulator(
        _ arguments: [String] = [], _ environment: [String: String] = [:]
    ) async throws -> (program: RunningProgram, url: String) {
        let program = try RunningProgram("feed-simulator", ["--listen", "127.0.0.1:0"] + arguments, environment)
        try await program.waitForLog("listen")
        guard let url = program.log.firstMatch(of: /wss?:\/\/[0-9.]+:[0-9]+/)?.0 else {
            throw TestFailure("no address of the simulator\n\(program.lastLines)")
        }
        return (program, String(url))
    }
}
