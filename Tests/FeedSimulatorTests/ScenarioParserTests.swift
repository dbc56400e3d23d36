import Foundation
import ServiceKit
import Testing
import TradeModel

@testable import FeedSimulator

struct ScenarioParserTests {
    private static func steps(_ lines: String, ofConnection number: Int = 1) throws -> [ScenarioStep] {
        try Scenario(lines, path: "x.scenario", known: standardSymbols).lines(ofConnection: number).map(\.step)
    }

    @Test func `Sections say what each connection gets`() throws {
        let text = """
            # what all begin with
            pings off   # none at all

            connection 1
            \taccept
              close 1012
            connection 2-4
              answer 503
            connection 7
              end
            connection *
              accept
            """
        #expect(try Self.steps(text) == [.pings(nil), .accept(.right), .close(code: 1012, reason: "")])
        for number in 2...4 {
            #expect(try Self.steps(text, ofConnection: number) == [.pings(nil), .answer(.init(status: 503))])
        }
        for number in [5, 6, 8, 1_000_000] {
            #expect(try Self.steps(text, ofConnection: number) == [.pings(nil), .accept(.right)])
        }
        #expect(try Self.steps(text, ofConnection: 7) == [.pings(nil), .end])
        #expect(
            try Self.steps(text.replacingOccurrences(of: "\n", with: "\r\n"), ofConnection: 7) == [.pings(nil), .end])
    }

    @Test func `Each setting is read`() throws {
        let text = """
            tls a.pem "b c.pem"
            buffer 4096
            patience 2s
            cut 3
            cut 1 every 20ms
            cut off
            gather 50
            fragments 4
            fragments 4 empty-end pings
            fragments off
            frames invalid-utf8
            pings every 1m
            pings off
            max-symbols 0
            invalid "IC MARKETS:1"
            ignore unsubscribe
            key newest-wins
            connection *
            """
        #expect(
            try Self.steps(text) == [
                .tls(certificate: "a.pem", key: "b c.pem"), .buffer(bytes: 4096), .patience(.seconds(2)),
                .cut(.init(bytes: 3, pause: .zero)), .cut(.init(bytes: 1, pause: .milliseconds(20))), .cut(nil),
                .gather(frames: 50), .fragments(.init(count: 4, hasPings: false, hasEmptyEnd: false)),
                .fragments(.init(count: 4, hasPings: true, hasEmptyEnd: true)), .fragments(nil), .frames(.invalidUTF8),
                .pings(.seconds(60)), .pings(nil), .maxSymbols(0), .invalid(try symbol("IC MARKETS:1")),
                .ignore(.unsubscribe), .key(.newestWins),
            ])
    }

    @Test func `Each step is read`() throws {
        let text = """
            connection 1
              answer 429 retry-after 2 for 1h
              answer 301 location ws://x/ for 1ms
              wait 20ms
              mute 1s
              accept
              trades 5
              text {"type":"x"} # no comment
              wait symbols 3
              close 1008 "too slow"
            connection 2
              accept wrong-hash
            connection 3
              accept
              drop
            connection 4
              mute forever
            connection 5
              reset
            connection 6
              wait forever
            connection 7
              accept
              close
            connection *
              end
            """
        #expect(
            try Self.steps(text) == [
                .answer(.init(status: 429, retryAfter: 2, period: .seconds(3600))),
                .answer(.init(status: 301, location: "ws://x/", period: .milliseconds(1))), .waitFor(.milliseconds(20)),
                .mute(.seconds(1)), .accept(.right), .trades(.init(count: 5)), .text(#"{"type":"x"} # no comment"#),
                .waitForSymbols(3), .close(code: 1008, reason: "too slow"),
            ])
        #expect(try Self.steps(text, ofConnection: 2) == [.accept(.wrongHash)])
        #expect(try Self.steps(text, ofConnection: 3) == [.accept(.right), .drop])
        #expect(try Self.steps(text, ofConnection: 4) == [.mute(nil)])
        #expect(try Self.steps(text, ofConnection: 5) == [.reset])
        #expect(try Self.steps(text, ofConnection: 6) == [.waitForever])
        #expect(try Self.steps(text, ofConnection: 7) == [.accept(.right), .close(code: nil, reason: "")])
        #expect(try Self.steps(text, ofConnection: 8) == [.end])
    }

    @Test func `Each option of trades is read`() throws {
        let text = """
            connection *
              accept
              trades 7 rate max per-frame 3 symbol AAPL without AMZN keys data-first conditions list numbers long
              trades 7 copies 2 frame-copies 3 apart 20ms shift -40m..-13ms
              trades forever rate 500 shift +5s
            """
        var first = ScenarioStep.TradesStep(count: 7)
        first.rate = .max
        first.maxPerFrame = 3
        first.symbol = try symbol("AAPL")
        first.mutedSymbol = try symbol("AMZN")
        first.style = TradeStyle(keys: .dataFirst, conditions: .oddLot, numbers: .long)
        var second = ScenarioStep.TradesStep(count: 7)
        second.style = TradeStyle(copies: 2, shift: -2_400_000...(-13))
        second.frameCopies = 3
        second.apart = .milliseconds(20)
        var third = ScenarioStep.TradesStep(count: nil)
        third.rate = .perSecond(500)
        third.style = TradeStyle(shift: 5000...5000)
        #expect(try Self.steps(text) == [.accept(.right), .trades(first), .trades(second), .trades(third)])
    }

    @Test(
        arguments: [
            ("accpt", "there is no step 'accpt'; did you mean 'accept'?; docs/scenarios.md lists them all"),
            ("frobnicate", "there is no step 'frobnicate'; docs/scenarios.md lists them all"),
            ("tls a.pem", "the key's file is missing; the form is: tls CERTIFICATE KEY"),
            (
                "buffer 0",
                "the size is '0': must be a whole number from 1 to 1073741824; the form is: buffer BYTES"
            ),
            (
                "patience 5",
                "the time is '5': must be a time above zero such as 20ms, 5s, 40m or 1h; the form is: patience TIME"
            ),
            ("cut 5 each 1s", "'each' is not 'every'; the form is: cut BYTES|off [every TIME]"),
            ("cut off now", "'now' is too much; the form is: cut BYTES|off [every TIME]"),
            ("fragments 3 dots", "'dots' is too much; the form is: fragments COUNT|off [pings] [empty-end]"),
            (
                "frames red",
                "the kind is 'red': must be one of text, binary, masked, invalid-utf8; the form is: frames text|binary|masked|invalid-utf8"
            ),
            ("pings 5s", "'5s' is neither 'every' nor 'off'; the form is: pings every TIME|off"),
            ("invalid AMZM", "there is no symbol 'AMZM' in the market; did you mean 'AMZN'?"),
            ("invalid \"AAPL", "a quote is not closed; the form is: invalid SYMBOL"),
            (
                "ignore pong",
                "what is ignored is 'pong': must be one of subscribe, unsubscribe, ping; the form is: ignore subscribe|unsubscribe|ping"
            ),
            (
                "key any",
                "the policy is 'any': must be one of newest-wins, close-both, refuse; the form is: key newest-wins|close-both|refuse"
            ),
            (
                "answer 101",
                "the status is '101': must be a whole number from 200 to 599; the form is: answer STATUS [retry-after SECONDS] [location URL] [for TIME]"
            ),
            (
                "answer 429 after 2",
                "'after' is too much; the form is: answer STATUS [retry-after SECONDS] [location URL] [for TIME]"
            ),
            ("accept nothing", "'nothing' is too much; the form is: accept [wrong-hash]"),
            ("wait", "the time is missing; the form is: wait TIME|forever|symbols COUNT"),
            (
                "mute 0s",
                "the time is '0s': must be a time above zero such as 20ms, 5s, 40m or 1h; the form is: mute TIME|forever"
            ),
            ("trades 5", "'trades' must come after 'accept'"),
            ("text x", "'text' must come after 'accept'"),
            ("drop", "'drop' must come after 'accept'"),
            ("close 1000", "'close' must come after 'accept'"),
            ("wait symbols 2", "'wait' must come after 'accept'"),
            ("end\nend", "'end' is never reached, since line 2 is the last step of its connection"),
            ("answer 401\naccept", "'accept' is never reached, since line 2 is the last step of its connection"),
            ("tls a b\ntls c d", "TLS has begun already; a connection has one certificate"),
            ("accept\naccept", "'accept' must come before 'accept'"),
            ("accept\nkey refuse", "'key' must come before 'accept'"),
            ("accept\nanswer 429", "'answer' must come before 'accept'"),
            ("accept\ntls a b", "'tls' must come before 'accept'"),
            (
                "accept\ntrades",
                "the number of trades is missing; the form is: trades COUNT|forever [OPTION VALUE]…"
            ),
            (
                "accept\ntrades many",
                "the number of trades is 'many': must be a whole number from 1 to 1000000000; the form is: trades COUNT|forever [OPTION VALUE]…"
            ),
            (
                "accept\ntrades 5 sorted",
                "'trades' has no option 'sorted'; there are: rate, per-frame, symbol, without, keys, conditions, numbers, copies, frame-copies, apart, shift"
            ),
            (
                "accept\ntrades 5 shif 1s",
                "'trades' has no option 'shif'; did you mean 'shift'?; there are: rate, per-frame, symbol, without, keys, conditions, numbers, copies, frame-copies, apart, shift"
            ),
            (
                "accept\ntrades 5 shift 1s",
                "the shift is '1s': must be a time such as +5s or -13ms, or two such as -40m..-13ms; the form is: trades COUNT|forever [OPTION VALUE]…"
            ),
            (
                "accept\ntrades 5 shift -1s..-2s",
                "the shift is '-1s..-2s': must be a time such as +5s or -13ms, or two such as -40m..-13ms; the form is: trades COUNT|forever [OPTION VALUE]…"
            ),
            (
                "accept\nclose 70000",
                "the code is '70000': must be a whole number from 0 to 65535; the form is: close [CODE [REASON]]"
            ),
            ("accept\nclose 1000 two words", "'words' is too much; the form is: close [CODE [REASON]]"),
            (
                "accept\nclose 1000 " + String(repeating: "x", count: 124),
                "the reason has more than 123 bytes; the form is: close [CODE [REASON]]"
            ),
        ])
    func `A mistake is refused with its line and what to do`(lines: String, problem: String) throws {
        let text = "connection 1\n\(lines)\nconnection *\n"
        let error = try #require(throws: ConfigurationError.self) { try Self.steps(text) }
        let number = lines.contains("\n") ? 3 : 2
        #expect(error.description == "--scenario 'x.scenario', line \(number): \(problem)")
    }

    @Test(arguments: [
        ("connection 1\naccept\n", 3, "the file ends without 'connection *', the section for all other connections"),
        ("", 1, "the file ends without 'connection *', the section for all other connections"),
        ("connection 0\n", 1, "'0' names no connection; the form is: connection NUMBER|FIRST-LAST|*"),
        ("connection 3-2\n", 1, "'3-2' names no connection; the form is: connection NUMBER|FIRST-LAST|*"),
        ("connection 1-2-3\n", 1, "'1-2-3' names no connection; the form is: connection NUMBER|FIRST-LAST|*"),
        ("connection\n", 1, "the number is missing; the form is: connection NUMBER|FIRST-LAST|*"),
        ("connection 1-3\nconnection 2\n", 2, "'connection 2' has a section above already"),
        ("connection *\nconnection 2\n", 2, "'connection 2' comes too late: 'connection *' is the last section"),
        (
            "conection 1\n", 1,
            "there is no step 'conection'; did you mean 'connection'?; docs/scenarios.md lists them all"
        ),
    ])
    func `A wrong section is refused`(text: String, number: Int, problem: String) throws {
        let error = try #require(throws: ConfigurationError.self) { try Self.steps(text) }
        #expect(error.description == "--scenario 'x.scenario', line \(number): \(problem)")
    }

    @Test func `A file that is not there is named`() {
        let error = #expect(throws: ConfigurationError.self) {
            try Scenario(contentsOf: "/nowhere/x.scenario", known: standardSymbols)
        }
        #expect(error?.description == "--scenario: cannot read '/nowhere/x.scenario': No such file or directory")
    }

    @Test func `Certificates lie beside the scenario`() throws {
        let text = "connection *\n tls a.pem /keys/b.pem"
        let beside = try Scenario(text, path: "folder/x.scenario", known: standardSymbols)
        #expect(beside.certificates == [CertificateFiles(certificate: "folder/a.pem", key: "/keys/b.pem")])
        let here = try Scenario(text, path: "x.scenario", known: standardSymbols)
        #expect(here.certificates == [CertificateFiles(certificate: "./a.pem", key: "/keys/b.pem")])
    }

    @Test func `A certificate that cannot be read is named with the reason`() throws {
        let scenario = try Scenario("connection *\n tls a.pem b.pem", path: "/nowhere/x", known: standardSymbols)
        let error = #expect(throws: ConfigurationError.self) { try TLSIdentity.all(of: scenario) }
        #expect(
            error?.description
                == "--scenario: the certificate '/nowhere/a.pem' with the key '/nowhere/b.pem' cannot be used: "
                + "No such file or directory")
    }

    @Test(arguments: ScenarioFiles.names)
    func `The project's scenarios are right and say what they are`(name: String) throws {
        let path = ScenarioFiles.path(name)
        #expect(try String(contentsOfFile: path, encoding: .utf8).hasPrefix("# "))
        _ = try Scenario(contentsOf: path, known: standardSymbols)
    }

    @Test func `Every line and option is documented with an example that is right`() throws {
        let file = ScenarioFiles.folder.appending(path: "../../docs/scenarios.md").standardizedFileURL
        let text = try String(contentsOf: file, encoding: .utf8).replacingOccurrences(of: "\\|", with: "|")
        func example(_ form: String) throws -> String {
            let row = try #require(text.split(separator: "\n").first { $0.hasPrefix("| `\(form)` |") }, "\(form)")
            return String(try #require(row.dropFirst(form.count + 6).firstMatch(of: #/`([^`]+)`/#)?.1))
        }
        for entry in ScenarioVocabulary.all {
            let line = try example(entry.usage)
            let isLater = ["trades", "text", "wait", "close", "drop"].contains(entry.name)
            _ = try Self.steps("connection *\n\(isLater ? "accept\n" : "")\(line)")
            #expect(line.split(separator: " ").first == entry.name[...])
        }
        for option in ScenarioVocabulary.tradesOptions {
            let words = try example("\(option.name) \(option.form)")
            _ = try Self.steps("connection *\naccept\ntrades 5 \(words)")
            #expect(words.split(separator: " ").first == option.name[...])
        }
        // The example at its beginning is right.
        let beginning = try #require(text.components(separatedBy: "```").dropFirst().first)
        _ = try Self.steps(beginning)
    }
}
