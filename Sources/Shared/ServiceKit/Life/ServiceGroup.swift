import Glibc

/// Runs services until SIGTERM or SIGINT, or until one of them ends; then stops them in reverse order.
///
/// Each stop has a deadline: when a service misses it, the process ends at once with status 1, which is safe, since every
/// program can be killed at any time.
package final class ServiceGroup: Sendable {
    private let services: [any Service]
    private let logger: Logger
    private let stopDeadline: Duration
    private let state: ConditionLock<State>

    private struct State {
        var ended: [Bool]
        var failure: (any Error)?
        var stopReason: String?
    }

    /// Makes a group.
    /// - Parameters:
    ///   - services: in the order of their start, each after what it needs; none waits for another to be ready.
    ///   - stopDeadline: how long each service may take to stop.
    package init(_ services: [any Service], logger: Logger, stopDeadline: Duration = .seconds(10)) {
        self.services = services
        self.logger = logger
        self.stopDeadline = stopDeadline
        state = ConditionLock(State(ended: services.map { _ in false }))
    }

    /// Blocks the stop signals in this thread and all that it will start, so that `run` can wait for them.
    static func blockSignals() {
        var signals = stopSignals
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Has SIGTERM and SIGINT end the process at once: for a command that takes long and may be cut short anywhere.
    package static func allowSignals() {
        var signals = stopSignals
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    private static var stopSignals: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        return signals
    }

    /// Runs the services; returns after all have stopped.
    /// - Throws: the error of the service that failed first.
    package func run() throws {
        watchSignals()
        let shutdowns = services.map { _ in ShutdownSignal() }
        for (index, service) in services.enumerated() {
            ServiceThread.start(service.name) { [self] in
                runService(index, until: shutdowns[index])
            }
        }
        let reason = state.wait { $0.stopReason }
        logger.info("stopping", ["reason": reason])
        for index in services.indices.reversed() {
            shutdowns[index].request()
            let ended = state.wait(for: stopDeadline) { $0.ended[index] ? true : nil }
            if ended == nil {
                logger.error(
                    "a service did not stop in time; the process ends without it",
                    ["service": services[index].name, "deadline": stopDeadline])
                _exit(1)
            }
        }
        if let failure = state.withLock({ $0.failure }) { throw failure }
        logger.info("stopped")
    }

    private func runService(_ index: Int, until shutdown: ShutdownSignal) {
        let name = services[index].name
        var failure: (any Error)?
        do {
            try services[index].run(until: shutdown)
        } catch {
            failure = error
        }
        let isFirst = state.withLock { state in
            defer { state.failure = state.failure ?? failure }
            if state.stopReason == nil {
                state.stopReason = failure == nil ? "\(name) has ended" : "\(name) has failed"
            }
            return state.failure == nil
        }
        // The first failure is thrown, and its catcher's to log.
        if let failure, !isFirst {
            logger.error("another service has failed", ["service": name, "error": "\(failure)"])
        }
        // Last: after that the process may be gone.
        state.withLock { $0.ended[index] = true }
    }

    private func watchSignals() {
        ServiceThread.start("signals") { [state, logger] in
            var signals = Self.stopSignals
            var received: Int32 = 0
            while sigwait(&signals, &received) == 0 {
                let name = received == SIGINT ? "SIGINT" : "SIGTERM"
                let isSecond = state.withLock { state in
                    if state.stopReason != nil { return true }
                    state.stopReason = name
                    return false
                }
                if isSecond {
                    logger.warning("stopped at once by a second signal", ["signal": name])
                    _exit(128 + received)
                }
            }
        }
    }
}
