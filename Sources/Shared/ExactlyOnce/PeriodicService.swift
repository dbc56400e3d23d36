import Postgres
import ServiceKit

/// Something that is done in the database again and again, by one thread.
package protocol PeriodicWork: AnyObject {
    /// Does it once.
    /// - Returns: how long to pause until the next time; nil for the service's interval.
    /// - Throws: what is to be told. It is called again, on a new connection, after the interval or what `Postponed` says.
    func run(_ connection: inout PostgresConnection, until shutdown: ShutdownSignal) throws -> Duration?
}

/// A failure after which the work is to rest for longer.
package struct Postponed: Error {
    package let problem: any Error
    package let pause: Duration

    package init(_ problem: any Error, pause: Duration) {
        self.problem = problem
        self.pause = pause
    }
}

/// Does periodic work on a thread of its own. Nothing that fails in it stops the program: it is logged once while it lasts,
/// and tried again.
package final class PeriodicService: Service {
    private struct Stop {
        var isRequested = false
        /// Gives up what the connection executes.
        var running: PostgresCancelHandle?
    }

    package let name: String
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
    package init(
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

    package func run(until shutdown: ShutdownSignal) throws {
        shutdown.onRequest { [self] in giveUp() }
        let work = makeWork()
        var connection: PostgresConnection?
        var lastProblem: String?
        var next = ContinuousClock.now
        repeat {
            var problem: String?
            next = .now + interval
            do {
                if let pause = try withConnection(&connection, { try work.run(&$0, until: shutdown) }) {
                    next = .now + pause
                }
            } catch let postponed as Postponed {
                problem = "\(postponed.problem)"
                next = .now + postponed.pause
            } catch {
                problem = "\(error)"
            }
            if let problem, problem != lastProblem, !shutdown.isRequested {
                logger.warning(complaint, ["error": problem, "after": max(next - .now, .zero)])
            }
            lastProblem = problem
        } while stop.wait(for: next - .now) { $0.isRequested ? true : nil } == nil
    }

    /// Runs work on the connection, making one where there is none.
    private func withConnection(
        _ connection: inout PostgresConnection?, _ body: (inout PostgresConnection) throws -> Duration?
    ) throws -> Duration? {
        var current: PostgresConnection
        if let open = connection.take() { current = open } else { current = try PostgresConnection(database) }
        let handle = try current.cancelHandle()
        let isStopping = stop.withLock { stop in
            stop.running = handle
            return stop.isRequested
        }
        defer { stop.withLock { $0.running = nil } }
        // One that fails in a transaction goes with it.
        let pause = isStopping ? nil : try body(&current)
        connection = consume current
        return pause
    }

    /// The statement under way may take long; it is given up, and nothing of it stays.
    private func giveUp() {
        let running = stop.withLock { stop in
            stop.isRequested = true
            return stop.running
        }
        try? running?.cancel()
    }
}
