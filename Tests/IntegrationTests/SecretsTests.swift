import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct SecretsTests {
    /// What must be seen nowhere; around it stand characters that a URL must encode.
    private static let tokenCanary = "TokenCanary7391"
    private static let passwordCanary = "PasswordCanary4628"
    private static let token = "t%/?&=+ #\(tokenCanary)é"
    private static let password = "p@:/?#%' \(passwordCanary)"

    private static func expectNoSecret(
        in text: String, of what: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for canary in [tokenCanary, passwordCanary] {
            #expect(
                !text.contains(canary), "\(what): \(excerpt(of: text, around: canary))", sourceLocation: sourceLocation)
        }
    }

    private static func excerpt(of text: String, around canary: String) -> String {
        text.split(separator: "\n").first { $0.contains(canary) }.map(String.init) ?? ""
    }

    /// Searches the command line, the titles of process and threads, and what the monitoring answers.
    private static func expectNoSecret(shownBy program: RunningProgram) async throws {
        let process = "/proc/\(program.child.pid)"
        let tasks = try FileManager.default.contentsOfDirectory(atPath: "\(process)/task")
        for file in ["cmdline", "comm"] + tasks.map({ "task/\($0)/comm" }) {
            // A thread may have ended.
            let data = FileManager.default.contents(atPath: "\(process)/\(file)") ?? Data()
            expectNoSecret(in: String(decoding: data, as: UTF8.self), of: "\(program.name)'s \(file)")
        }
        guard program.name != "feed-simulator" else { return }
        for path in ["/metrics", "/healthz", "/readyz"] {
            expectNoSecret(in: try await program.get(path).body, of: "\(program.name)'s \(path)")
        }
    }

    @Test(arguments: ["text", "json"])
    func `working programs show no secret, wherever it comes from`(_ format: String) async throws {
        let directory = try TemporaryDirectory(prefix: "tickstream-secrets")
        let broker = try await Broker()
        let database = try await TestDatabase()
        let databaseURL = try database.makeUser(password: Self.password)
        let logging = ["--log-level", "trace", "--log-format", format]
        // As text the secrets come from variables, as JSON from files.
        func secret(_ variable: String, _ value: String) throws -> [String: String] {
            guard format == "json" else { return [variable: value] }
            let path = "\(directory.path)/\(variable)"
            try "\(value)\n".write(toFile: path, atomically: true, encoding: .utf8)
            return ["\(variable)_FILE": path]
        }
        let (simulator, url) = try await RunningProgram.simulator(
            ["--log-level", "trace"], secret("FEED_TOKEN", Self.token))
        let readers = try RunningProgram.readers.map { name in
            try RunningProgram.reader(name, broker, "", logging, secret("DATABASE_URL", databaseURL))
        }
        let producer = try RunningProgram.producer(broker, feed: url, logging, secret("FINNHUB_TOKEN", Self.token))
        for reader in readers { try await reader.waitUntilStored(from: producer) }
        for program in readers + [producer, simulator] {
            try await Self.expectNoSecret(shownBy: program)
            try await program.stop()
            Self.expectNoSecret(in: program.allOutput, of: "\(program.name)'s output")
        }
    }

    @Test(arguments: ["FINNHUB_TOKEN", "--feed-token-file", "--config-file"])
    func `a producer shows its token nowhere, whatever its feed does`(_ source: String) async throws {
        let directory = try TemporaryDirectory(prefix: "tickstream-secrets")
        let file = "\(directory.path)/secret"
        try (source == "--config-file" ? "FINNHUB_TOKEN=\(Self.token)\n" : Self.token)
            .write(toFile: file, atomically: true, encoding: .utf8)
        let isVariable = source == "FINNHUB_TOKEN"

        let broker = try await Broker()
        let working = try await RunningProgram.simulator(["--log-level", "trace"], ["FEED_TOKEN": Self.token])
        let refusing = try await RunningProgram.simulator(["--log-level", "trace"], ["FEED_TOKEN": "another"])
        let untrusted = try await UntrustedServer()
        let producers = try [
            (working.url, "connected to the feed"), ("\(refusing.url)/path?query=1", "the feed refuses the API key"),
            ("ws://\(try Broker.absent())", "the feed is disconnected"), (untrusted.url, "self-signed certificate"),
        ].map { feed, words in
            let producer = try RunningProgram.producer(
                broker, feed: feed, ["--log-level", "trace"] + (isVariable ? [] : [source, file]),
                isVariable ? [source: Self.token] : [:])
            return (program: producer, words: words)
        }
        for producer in producers {
            try await producer.program.waitForLog(producer.words)
            try await Self.expectNoSecret(shownBy: producer.program)
        }
        try await producers[0].program.wait(for: "a trade to be acknowledged") {
            try await producers[0].program.metric("kafka_records_acknowledged_total") > 0
        }
        for program in producers.map(\.program) + [working.program, refusing.program] {
            try await program.stop()
            Self.expectNoSecret(in: program.allOutput, of: "\(program.name)'s output")
        }
        let events = try await broker.events()
        #expect(events.count { $0.contains("\"disconnected\"") } >= producers.count, "\(events)")
        for event in events { Self.expectNoSecret(in: event, of: "an event") }
    }

    @Test(arguments: [SIGABRT, SIGSEGV])
    func `a producer that crashes leaves no core file`(_ signal: Int32) async throws {
        func coreFiles(of program: String, _ arguments: [String]) async throws -> [String] {
            let directory = try TemporaryDirectory(prefix: "tickstream-core")
            // Swift's runtime would take a signal from outside for a crash of its own, report it, and go on.
            let environment = ["FINNHUB_TOKEN": Self.token, "SWIFT_BACKTRACE": "enable=no"]
            let running = try RunningProgram(program, arguments, environment, in: directory.path)
            try await running.waitForLog("listen")
            running.child.kill(signal)
            #expect(try await running.end() == .signaled(signal))
            return try FileManager.default.contentsOfDirectory(atPath: directory.path)
        }
        let arguments = [
            "--kafka-bootstrap-servers", try Broker.absent(), "--feed-url", "ws://\(try Broker.absent())",
        ]
        #expect(try await coreFiles(of: "producer", arguments) == [])

        // Where this system writes core files into the directory at all, a program without secrets leaves one.
        let pattern = try String(contentsOfFile: "/proc/sys/kernel/core_pattern", encoding: .utf8)
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
        guard !pattern.hasPrefix("|"), !pattern.hasPrefix("/"), limit.rlim_max > 1 << 30 else { return }
        #expect(try await coreFiles(of: "dev-broker", ["--topics", "trades"]).count == 1)
    }

    @Test func `an address that is refused shows no token`() async throws {
        let broker = try await Broker()
        for wrong in ["http://127.0.0.1:9", "ws://name@127.0.0.1:9", "ws://127.0.0.1:port", "ws://"] {
            let ended = try await RunningProgram.run(
                "producer",
                broker.arguments(of: "producer") + ["--feed-url", "\(wrong)?token=\(Self.tokenCanary)"] + [
                    "--log-level", "trace",
                ],
                ["FINNHUB_TOKEN": Self.token])
            #expect(ended.status == .exited(2), "\(ended)")
            Self.expectNoSecret(in: ended.description, of: "the refusal of \(wrong)")
        }
    }

    @Test(arguments: RunningProgram.readers)
    func `a reader that cannot connect shows no password`(_ reader: String) async throws {
        let database = try await TestDatabase()
        let encoded = try #require(Self.password.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
        let wrong = [
            try database.url(password: Self.password),
            "postgresql://someone:\(encoded)@\(try Broker.absent())/there",
            "postgresql://someone:\(Self.passwordCanary)@no-such-host.invalid/there",
            "postgresql://someone:\(Self.password)@127.0.0.1/there",
            "host=127.0.0.1 passwrod=\(Self.passwordCanary)",
        ]
        for url in wrong {
            let ended = try await RunningProgram.run(
                reader, ["check", "--log-level", "trace", "--kafka-bootstrap-servers", try Broker.absent()],
                ["DATABASE_URL": url])
            #expect([.exited(1), .exited(2)].contains(ended.status), "\(ended)")
            Self.expectNoSecret(in: ended.description, of: "the refusal")
        }
    }

    @Test(arguments: [
        ("producer", "feed-token", "FINNHUB_TOKEN"), ("consumer", "database-url", "DATABASE_URL"),
        ("kpi-service", "database-url", "DATABASE_URL"), ("feed-simulator", "token", "FEED_TOKEN"),
    ])
    func `a secret on the command line is refused and not repeated`(
        _ program: String, _ option: String, _ variable: String
    ) async throws {
        for arguments in [["--\(option)", Self.token], ["--\(option)=\(Self.token)"]] {
            let ended = try await RunningProgram.run(program, arguments)
            #expect(ended.status == .exited(2), "\(ended)")
            #expect(ended.errors.hasPrefix("\(program): --\(option) is secret"), "\(ended)")
            #expect(ended.errors.contains("--\(option)-file, or set \(variable)"), "\(ended)")
            Self.expectNoSecret(in: ended.description, of: "the refusal")
        }
    }
}
