import DatabaseTestSupport
import Foundation
import LocalServers
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

    private static func commandLine(of program: RunningProgram) throws -> String {
        let data = try Data(contentsOf: URL(fileURLWithPath: "/proc/\(program.child.pid)/cmdline"))
        return String(decoding: data, as: UTF8.self)
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
        for program in [producer] + readers {
            Self.expectNoSecret(in: try await program.get("/metrics").body, of: "\(program.name)'s metrics")
            Self.expectNoSecret(in: try await program.get("/readyz").body, of: "\(program.name)'s readiness")
        }
        for program in readers + [producer, simulator] {
            Self.expectNoSecret(in: try Self.commandLine(of: program), of: "\(program.name)'s command line")
            try await program.stop()
            Self.expectNoSecret(in: program.log, of: "\(program.name)'s log")
        }
    }

    @Test func `a producer that is refused shows no token`() async throws {
        let broker = try await Broker()
        let (simulator, url) = try await RunningProgram.simulator(["--log-level", "trace"], ["FEED_TOKEN": "another"])
        let trace = ["--log-level", "trace"]
        let refused = try RunningProgram.producer(broker, feed: url, trace, ["FINNHUB_TOKEN": Self.token])
        try await refused.waitForLog("the feed refuses the API key: check FINNHUB_TOKEN or --feed-token-file")
        let disconnected = try RunningProgram.producer(
            broker, feed: "ws://\(try Broker.absent())/path?query=1", trace, ["FINNHUB_TOKEN": Self.token])
        try await disconnected.waitForLog("the feed is disconnected")
        for program in [refused, disconnected, simulator] {
            try await program.stop()
            Self.expectNoSecret(in: program.log, of: "\(program.name)'s log")
        }

        for wrong in ["http://127.0.0.1:9", "ws://name@127.0.0.1:9", "ws://127.0.0.1:port", "ws://"] {
            let ended = try await RunningProgram.run(
                "producer",
                broker.arguments(of: "producer") + ["--feed-url", "\(wrong)?token=\(Self.tokenCanary)"] + trace,
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
