import Foundation
import LocalServers
import ServiceKit
import Synchronization

/// One run of the whole pipeline: start, show the state, stop.
struct PipelineRun: Service {
    let name = "pipeline"
    private let configuration: Configuration

    init(_ configuration: Configuration) {
        self.configuration = configuration
    }

    /// - Throws: `PipelineFailure` when something could not be started or died; all else is stopped by then.
    func run(until shutdown: ShutdownSignal) throws {
        let ended = ConditionLock<Result<Void, any Error>?>(nil)
        let task = Task { [configuration] in
            var result = Result<Void, any Error>.success(())
            do {
                try await Self.run(configuration)
            } catch {
                result = .failure(error)
            }
            ended.withLock { $0 = result }
        }
        shutdown.onRequest { task.cancel() }
        try ended.wait { $0 }.get()
    }

    private static func run(_ configuration: Configuration) async throws {
        let terminal = Terminal()
        let directory = URL(fileURLWithPath: configuration[PipelineOptions.directory]).standardizedFileURL.path
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw PipelineFailure("cannot make the directory \(directory): \(error.localizedDescription)")
        }
        let lock = try RunLock(directory: directory)
        let startup = try Startup(configuration, directory: directory, say: terminal.say)
        var failure: (any Error)?
        do {
            let reader = try await startup.start()
            let maxSeconds = configuration[optional: PipelineOptions.maxSeconds]
            failure = await show(reader, startup, terminal, maxSeconds: maxSeconds)
            try await blocking { reader.stop() }
        } catch {
            // What was interrupted by the wish to stop has not failed.
            failure = Task.isCancelled ? nil : error
        }
        terminal.say(failure == nil ? "Stopping …" : "Something failed; stopping the rest …")
        await startup.stop()
        terminal.say("Stopped. The data stay in \(directory); 'make clean-run' forgets them.")
        _ = consume lock
        if let failure { throw PipelineFailure("\(failure)\n\(startup.advice)") }
    }

    /// Shows the state until the task is cancelled, the time is over or something dies; returns what died.
    private static func show(
        _ reader: StatusReader, _ startup: Startup, _ terminal: Terminal, maxSeconds: Int?
    ) async -> PipelineFailure? {
        let interval = terminal.canRedraw ? 1 : 5
        if !terminal.canRedraw {
            let facts = reader.snapshot.facts
            terminal.say("To look at the tables: \(facts.databaseCommand)")
            terminal.say("To look at the topic:  \(facts.topicCommand)")
        }
        let begin = ContinuousClock.now
        var seconds = 0
        while !Task.isCancelled, seconds < maxSeconds ?? .max {
            if let death = startup.death { return death }
            if terminal.canRedraw {
                terminal.draw(terminal.screen.render(reader.snapshot))
            } else if seconds > 0, seconds % interval == 0 {
                terminal.say(terminal.screen.line(reader.snapshot))
            }
            seconds += 1
            try? await Task.sleep(until: begin + .seconds(seconds))
        }
        if !terminal.canRedraw { terminal.say(terminal.screen.line(reader.snapshot)) }
        return startup.death
    }
}
