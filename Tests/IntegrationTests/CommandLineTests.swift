import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct CommandLineTests {
    private static let programs = ["producer", "consumer", "kpi-service", "feed-simulator", "dev-broker"]

    @Test(arguments: programs)
    func `help names every documented option and variable`(_ program: String) async throws {
        let ended = try await RunningProgram.run(program, ["--help"])
        #expect(ended.status == .exited(0))
        #expect(ended.errors.isEmpty)
        let documented = try Self.documentedOptions(of: program)
        #expect(documented.count >= 6)
        for (option, variable) in documented {
            #expect(ended.output.contains("  \(option)  [\(variable)]\n"), "\(ended)")
        }
        let options = ended.output.matches(of: /\n  --\S+.*  \[/).count
        #expect(options == documented.count)
    }

    /// The first two columns of the program's table in the documentation.
    private static func documentedOptions(of program: String) throws -> [(option: String, variable: String)] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../docs/configuration.md").standardizedFileURL
        let text = try String(contentsOf: file, encoding: .utf8)
        let section = try #require(text.components(separatedBy: "\n## ").first { $0.hasPrefix("\(program)\n") })
        // Below stand the options of single commands.
        let table = section.components(separatedBy: "\n### ")[0]
        return table.matches(of: /\n\| `(--[^`]+)` \| `([^`]+)`/).map { (String($0.1), String($0.2)) }
    }

    @Test(arguments: programs)
    func `version is one line with the name`(_ program: String) async throws {
        let ended = try await RunningProgram.run(program, ["--version"])
        #expect(ended.status == .exited(0))
        #expect(try #/[0-9]+\.[0-9]+\.[0-9]+/#.wholeMatch(in: ended.output.dropFirst(program.count + 1)) != nil)
        #expect(ended.output.hasPrefix("\(program) "))
    }

    @Test(arguments: programs)
    func `an unknown option and an unknown command are refused`(_ program: String) async throws {
        let option = try await RunningProgram.run(program, ["--log-levle", "info"])
        Self.expectRefusal(option, of: program, "there is no option --log-levle; did you mean --log-level?")
        let command = try await RunningProgram.run(program, ["frobnicate"])
        Self.expectRefusal(command, of: program, "there is no command 'frobnicate'")
    }

    @Test(arguments: [
        (["producer", "--symbols", ","], [:], "--symbols is ',': must name at least one symbol"),
        (["producer", "--source-id", ""], [:], "--source-id is '': must have 1 to 47 bytes"),
        (["producer", "--feed-url", "http://feed"], [:], "--feed-url: the WebSocket URL does not start with ws://"),
        (
            ["consumer", "--accept-new-cluster=perhaps"], [:],
            "--accept-new-cluster is 'perhaps': must be true or false"
        ),
        (["consumer"], ["LOG_LEVEL": "loud"], "LOG_LEVEL is 'loud': must be one of trace"),
        (["consumer"], ["DATABASE_URL": "postgresql:/nowhere"], "--database-url-file or DATABASE_URL: "),
        (["kpi-service", "--commit-interval", "soon"], [:], "--commit-interval is 'soon': must be a whole number"),
        (["kpi-service", "--monitoring-listen", "nowhere"], [:], "--monitoring-listen is 'nowhere'"),
        (["kpi-service", "--config-file", "/nowhere/file"], [:], "--config-file: cannot read '/nowhere/file'"),
        (["feed-simulator", "--rate", "0"], [:], "--rate is '0': must be 1 to 200000"),
        (["feed-simulator", "check", "--scenario", "/nowhere/x"], [:], "--scenario: cannot read '/nowhere/x'"),
        (
            ["feed-simulator", "--limit", "5"], ["SIMULATOR_SCENARIO": "x"],
            "--scenario cannot be combined with --limit: leave one of them out"
        ),
        (["dev-broker", "--partitions", "4096"], [:], "--partitions is '4096': must be from 1 to 2048"),
    ])
    func `a bad value is refused with its key`(
        _ words: [String], _ environment: [String: String], _ problem: String
    ) async throws {
        let ended = try await RunningProgram.run(
            words[0], Array(words.dropFirst()),
            environment.merging(["KAFKA_BOOTSTRAP_SERVERS": try Broker.absent()]) { given, _ in given })
        let command = words.prefix { !$0.hasPrefix("-") }.joined(separator: " ")
        Self.expectRefusal(ended, of: command, problem)
    }

    @Test func `the simulator checks a scenario and its certificates`() async throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../Scenarios").standardizedFileURL
        func check(_ name: String) async throws -> RunningProgram.Ended {
            let file = folder.appendingPathComponent("\(name).scenario").path
            return try await RunningProgram.run("feed-simulator", ["check", "--scenario", file])
        }
        let good = try await check("close-1012")
        #expect(good.status == .exited(0))
        #expect(good.errors.contains("the configuration is good"), "\(good)")
        // Its certificates are made only where they are used.
        Self.expectRefusal(
            try await check("tls-expired"), of: "feed-simulator check", "--scenario: the certificate '\(folder.path)/")
    }

    @Test(arguments: ["producer", "consumer", "kpi-service"])
    func `the brokers are required`(_ program: String) async throws {
        let ended = try await RunningProgram.run(program)
        Self.expectRefusal(
            ended, of: program, "--kafka-bootstrap-servers (or KAFKA_BOOTSTRAP_SERVERS) is missing: Kafka's brokers")
    }

    /// Status 2, one line that says what is wrong, and where there is help.
    private static func expectRefusal(_ ended: RunningProgram.Ended, of command: String, _ problem: String) {
        let lines = ended.errors.split(separator: "\n")
        #expect(ended.status == .exited(2), "\(ended)")
        #expect(lines.count == 2 && lines.last == "See '\(command) --help'.", "\(ended)")
        #expect(lines.first?.hasPrefix("\(command.prefix { $0 != " " }): \(problem)") == true, "\(ended)")
        #expect(ended.output.isEmpty)
    }
}
