import Postgres
import ServiceKit
import Synchronization

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
    package let name: String
    private let interval: Duration
    private let database: PostgresConfiguration
    private let logger: Logger
    private let complaint: StaticString
    private let makeWork: @Sendable () -> any PeriodicWork
    /// Gives up what the connection executes.
    private let running = Mutex<PostgresCancelHandle?>(nil)

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
        // The statement under way may take long; it is given up, and nothing of it stays.
        shutdown.onRequest { [self] in try? running.withLock { $0 }?.cancel() }
        let work = makeWork()
        var connection: PostgresConnection?
        var lastProblem: String?
        var next = ContinuousClock.now
        repeat {
            var problem: String?
            next = .now + interval
            do {
                if let pause = try withConnection(&connection, until: shutdown, work) { next = .now + pause }
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
        } while !shutdown.wait(for: next - .now)
    }

    /// Runs work on the connection, making one where there is none.
    private func withConnection(
        _ connection: inout PostgresConnection?, until shutdown: ShutdownSignal, _ work: any PeriodicWork
    ) throws -> Duration? {
        var current: PostgresConnection
        if let open = connection.take() { current = open } else { current = try PostgresConnection(database) }
        let handle = try current.cancelHandle()
        running.withLock { $0 = handle }
        defer { running.withLock { $0 = nil } }
        // Asked after the handle is there: a stop either shows here, or finds it. A connection whose work fails goes with it.
        let pause = shutdown.isRequested ? nil : try work.run(&current, until: shutdown)
        connection = consume current
        return pause
    }
}
