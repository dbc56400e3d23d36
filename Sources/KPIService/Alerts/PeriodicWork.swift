import Postgres
import ServiceKit

/// Something that is done in the database again and again, by one thread.
protocol PeriodicWork: AnyObject {
    /// Does it once. Whatever it throws, it is called again.
    func run(_ connection: inout PostgresConnection, until shutdown: ShutdownSignal) throws
}

/// Does periodic work on a thread of its own. Nothing that fails in it stops the program: it is logged once while it lasts,
/// and tried again.
final class PeriodicService: Service {
    private struct Stop {
        var isRequested = false
        /// Gives up what the connection executes.
        var running: PostgresCancelHandle?
    }

    let name: String
    private let interval: Duration
    private let database: PostgresConfiguration
    private let logger: Logger
    private let complaint: StaticString
    private let makeWork: @Sendable () -> any PeriodicWork
    private let stop = ConditionLock(Stop())

    /// Makes the service.
    /// - Parameters:
    ///   - interval: from one beginning to the next.
    ///   - complaint: what is logged when the work fails.
    ///   - makeWork: called once, on the service's thread.
    init(
        _ name: String, every interval: Duration, database: PostgresConfiguration, logger: Logger,
        complaint: StaticString, _ makeWork: @escaping @Sendable () -> any PeriodicWork
    ) {
        self.name = name
        self.interval = interval
        self.database = database
        self.logger = logger
        self.complaint = complaint
        self.makeWork = makeWork
    }

    func run(until shutdown: ShutdownSignal) throws {
        shutdown.onRequest { [self] in giveUp() }
        let work = makeWork()
        var connection: PostgresConnection?
        var lastProblem: String?
        var begin = ContinuousClock.now
        repeat {
            var problem: String?
            begin = .now
            do {
                try withConnection(&connection) { try work.run(&$0, until: shutdown) }
            } catch {
                problem = "\(error)"
            }
            if let problem, problem != lastProblem, !shutdown.isRequested {
                logger.warning(complaint, ["error": problem])
            }
            lastProblem = problem
        } while stop.wait(for: begin + interval - .now) { $0.isRequested ? true : nil } == nil
    }

    /// Runs work on the connection, making one where there is none.
    private func withConnection(
        _ connection: inout PostgresConnection?, _ body: (inout PostgresConnection) throws -> Void
    ) throws {
        var current: PostgresConnection
        if let open = connection.take() {
            current = open
        } else {
            current = try PostgresConnection(database)
        }
        let handle = try current.cancelHandle()
        let isStopping = stop.withLock { stop in
            stop.running = handle
            return stop.isRequested
        }
        defer { stop.withLock { $0.running = nil } }
        // One that fails in a transaction goes with it.
        if !isStopping { try body(&current) }
        connection = consume current
    }

    private func giveUp() {
        let running = stop.withLock { stop in
            stop.isRequested = true
            return stop.running
        }
        try? running?.cancel()
    }
}
