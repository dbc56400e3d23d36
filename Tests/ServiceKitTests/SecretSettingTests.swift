import Testing

@testable import ServiceKit

struct SecretSettingTests {
    private static let secret = "hunter2"
    private static let token = Setting<String>("feed-token", isRequired: true, isSecret: true, help: "The token.") {
        $0.count > 5 ? nil : "must have more than 5 letters"
    }
    private static let file = Setting<String>("config-file", help: "")

    private static func read(
        _ flags: [(String, String?)] = [], _ environment: [String: String] = [:],
        files: [String: String] = ["/run/token": "  \(secret)\r\n"]
    ) throws -> String {
        try Configuration(
            settings: [token, file], flags: flags.map { Configuration.Flag(name: $0.0, value: $0.1) },
            environment: environment,
            readFile: { path in
                guard let text = files[path] else { throw SystemError("cannot read '\(path)'") }
                return text
            })[token]
    }

    @Test func `a secret comes from a variable, or trimmed from a file that a flag or a variable names`() throws {
        #expect(try Self.read([], ["FEED_TOKEN": Self.secret]) == Self.secret)
        #expect(try Self.read([("feed-token-file", "/run/token")]) == Self.secret)
        #expect(try Self.read([], ["FEED_TOKEN_FILE": "/run/token"]) == Self.secret)
    }

    @Test func `a secret comes from the configuration file, or from a file that it names`() throws {
        let direct = ["/x.env": "FEED_TOKEN=\(Self.secret)"]
        #expect(try Self.read([("config-file", "/x.env")], files: direct) == Self.secret)
        let named = ["/x.env": "FEED_TOKEN_FILE=/run/token", "/run/token": Self.secret]
        #expect(try Self.read([("config-file", "/x.env")], files: named) == Self.secret)
    }

    @Test func `the file that a flag names goes before the variable with the secret`() throws {
        #expect(try Self.read([("feed-token-file", "/run/token")], ["FEED_TOKEN": "otherwise"]) == Self.secret)
    }

    @Test func `a secret as a flag is refused with the reason and the way to do it`() throws {
        let error = try #require(message { _ = try Self.read([("feed-token", Self.secret)]) })
        #expect(error.contains("--feed-token is secret"))
        #expect(error.contains("process list"))
        #expect(error.contains("--feed-token-file"))
        #expect(error.contains("FEED_TOKEN"))
        #expect(!error.contains(Self.secret))
    }

    @Test func `no error repeats a secret`() throws {
        let short = "abc"
        let cases = [
            message { _ = try Self.read([], ["FEED_TOKEN": short]) },
            message { _ = try Self.read([("feed-token-file", "/t")], files: ["/t": short]) },
            message { _ = try Self.read([("config-file", "/x")], files: ["/x": "FEED_TOKEN=\(short)"]) },
        ]
        let sources = ["FEED_TOKEN", "--feed-token-file", "FEED_TOKEN in /x"]
        for (error, source) in zip(cases, sources) {
            #expect(error == "\(source) must have more than 5 letters")
        }
    }

    @Test func `a secret file that is empty or cannot be read is an error that names it`() {
        #expect(
            message { _ = try Self.read([("feed-token-file", "/t")], files: ["/t": " \n"]) }
                == "--feed-token-file: '/t' is empty")
        let missing = message { _ = try Self.read([], ["FEED_TOKEN_FILE": "/none"]) }
        #expect(missing?.hasPrefix("FEED_TOKEN_FILE: cannot read '/none'") == true)
    }

    @Test func `a secret's file flag without its value is an error`() {
        #expect(
            message { _ = try Self.read([("feed-token-file", nil)]) }
                == "--feed-token-file needs a value: the path of a file")
    }

    @Test func `a missing secret names both ways to give it`() {
        #expect(message { _ = try Self.read() } == "--feed-token-file (or FEED_TOKEN) is missing: The token.")
    }
}
