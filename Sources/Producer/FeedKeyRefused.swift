import ServiceKit

/// The feed has refused the API key, and the user wants the program to end then.
struct FeedKeyRefused: Error, CustomStringConvertible {
    /// The program's exit status, which nothing else has.
    static let exitStatus: Int32 = 3

    let endpoint: String
    let httpStatus: Int

    var description: String {
        "\(endpoint) refuses the API key with HTTP status \(httpStatus): check FINNHUB_TOKEN or --feed-token-file; without "
            + "--exit-on-auth-failure it would be tried again every \(ReconnectionPolicy.afterRefusedKey)"
    }
}

/// The same command, which ends the process with a status of its own when the feed has refused the key.
func exitingOnRefusedKey(
    _ command: @escaping @Sendable (Configuration, Logger) throws -> Void
) -> @Sendable (Configuration, Logger) throws -> Void {
    { configuration, logger in
        do {
            try command(configuration, logger)
        } catch let error as FeedKeyRefused {
            logger.critical("stopped by an error", ["error": "\(error)"])
            endProcess(FeedKeyRefused.exitStatus)
        }
    }
}
