import Foundation
import LocalServers
import TestSupport

/// The readers of a chaos campaign: several consumers and KPI services, which are killed, frozen and started anew.
@MainActor
final class ChaosReaders {
    /// Short, so that what happens to a group happens often; the broker's side of a frozen member is over after this.
    private static let session = Duration.seconds(2)

    private enum Life {
        case absent
        case running(PipelineProcess)
        case frozen(PipelineProcess, until: ContinuousClock.Instant)
        case down(until: ContinuousClock.Instant)
    }

    private struct Member {
        let program: String
        let index: Int
        var life = Life.absent

        var name: String { "\(program)-\(index)" }
        /// Of each program the even ones are static members of their group.
        var isStatic: Bool { index.isMultiple(of: 2) }
        var running: PipelineProcess? { if case .running(let process) = life { process } else { nil } }
        var isPresent: Bool { if case .absent = life { false } else { true } }
    }

    private let processes: PipelineProcesses
    private let directory: String
    private let bootstrap: String
    private let databaseURL: String
    private var members =
        (1...5).map { Member(program: "consumer", index: $0) }
        + (1...2).map { Member(program: "kpi-service", index: $0) }
    /// How often a reader has ended although nobody asked it to; it is started anew, as a supervisor would do.
    private(set) var exits = 0

    /// Starts four consumers and two KPI services.
    init(directory: String, bootstrap: String, databaseURL: String) async throws {
        self.directory = directory
        self.bootstrap = bootstrap
        self.databaseURL = databaseURL
        processes = try PipelineProcesses(directory: directory)
        try await processes.migrate(databaseURL: databaseURL)
        for place in members.indices where place != 4 { try start(place) }
    }

    /// Lets those go on that were frozen long enough, and starts those that have been away long enough or ended.
    func tend() throws {
        for place in members.indices {
            switch members[place].life {
            case .frozen(let process, let until) where ContinuousClock.now >= until:
                process.child.kill(SIGCONT)
                members[place].life = .running(process)
            case .down(let until) where ContinuousClock.now >= until:
                try start(place)
            case .running(let process) where !process.child.isRunning:
                exits += 1
                print("\(members[place].name) has ended by itself:\n\(process.log.suffix(600))")
                members[place].life = .down(until: .now + .seconds(1))
            default: break
            }
        }
    }

    func kill(_ random: inout SplitMix64) async -> String? {
        guard let place = pick(&random, where: { $0.running != nil }), let process = members[place].running else {
            return nil
        }
        await process.kill()
        members[place].life = .down(until: .now + .milliseconds(random.below(2000)))
        return members[place].name
    }

    func freeze(_ random: inout SplitMix64) -> String? {
        guard let place = pick(&random, where: { $0.running != nil }), let process = members[place].running else {
            return nil
        }
        process.child.kill(SIGSTOP)
        let duration = Self.session + .milliseconds(1000 + random.below(3000))
        members[place].life = .frozen(process, until: .now + duration)
        return "\(members[place].name) for \(duration)"
    }

    func join(_ random: inout SplitMix64) throws -> String? {
        guard let place = pick(&random, where: { !$0.isPresent }) else { return nil }
        try start(place)
        return members[place].name
    }

    /// Stops a consumer, as long as three stay.
    func leave(_ random: inout SplitMix64) async -> String? {
        guard members.count(where: { $0.program == "consumer" && $0.isPresent }) > 3,
            let place = pick(&random, where: { $0.program == "consumer" && $0.running != nil }),
            let process = members[place].running
        else { return nil }
        members[place].life = .absent
        let status = await process.stop()
        if !status.isSuccess { exits += 1 }
        return "\(members[place].name), which \(status)"
    }

    /// Has all go on that are frozen or away.
    func restore() throws {
        for place in members.indices {
            switch members[place].life {
            case .frozen(let process, _): members[place].life = .frozen(process, until: .now)
            case .down: members[place].life = .down(until: .now)
            default: break
            }
        }
        try tend()
    }

    func stop() async {
        // A frozen process heeds nothing but SIGKILL.
        for process in processes.running { process.child.kill(SIGCONT) }
        await processes.stopAll()
    }

    /// How often a reader found that another had claimed its partitions, by the readers' logs.
    func fencedCount() throws -> Int {
        try members.reduce(0) { count, member in
            let log = "\(directory)/\(member.name).log"
            guard FileManager.default.fileExists(atPath: log) else { return count }
            let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: log)), as: UTF8.self)
            return count + text.split(separator: "\n").count { $0.contains("another member has claimed") }
        }
    }

    private func pick(_ random: inout SplitMix64, where isFit: (Member) -> Bool) -> Int? {
        let fit = members.indices.filter { isFit(members[$0]) }
        return fit.isEmpty ? nil : random.pick(fit)
    }

    private func start(_ place: Int) throws {
        let member = members[place]
        let properties = "\(directory)/\(member.name).properties"
        let milliseconds = Int(Self.session / .milliseconds(1))
        try "session.timeout.ms=\(milliseconds)\nheartbeat.interval.ms=\(milliseconds / 6)\n"
            .write(toFile: properties, atomically: true, encoding: .utf8)
        let arguments =
            ["--kafka-properties-file", properties] + (member.isStatic ? ["--instance-id", member.name] : [])
        members[place].life = .running(
            member.program == "consumer"
                ? try processes.startConsumer(
                    bootstrap: bootstrap, databaseURL: databaseURL, index: member.index, arguments: arguments)
                : try processes.startKPIService(
                    bootstrap: bootstrap, databaseURL: databaseURL, index: member.index, arguments: arguments))
    }
}
