/// A long run that breaks something on purpose while trades stream, and then proves what became of each.
protocol Campaign {
    /// Runs it, and prints a closing line.
    /// - Returns: whether the proof holds.
    func run() async throws -> Bool
}
