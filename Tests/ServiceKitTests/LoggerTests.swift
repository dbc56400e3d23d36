import Foundation
import Synchronization
import Testing
import TradeModel

@testable import ServiceKit

struct LoggerTests {
    private static let time = Timestamp(microseconds: 1_767_323_045_678_901)

    private static func line(
        _ format: LogFormat, _ message: StaticString, _ metadata: Logger.Metadata = [:], label: String = "producer"
    ) -> String {
        Logger(label: label, format: format).line(.info, message, metadata, at: time)
    }

    /// The line as JSON, once it is sure that it is one line.
    private static func object(_ metadata: Logger.Metadata) throws -> [String: Any] {
        let line = line(.json, "connected", metadata)
        #expect(line.utf8.count { $0 == 0x0A } == 1 && line.hasSuffix("}\n"))
        return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    /// Values that would break a line, a field or a terminal if they were written as they are.
    private static let hostile = [
        "", " ", "a b", "a=b", "a\"b", "a\nb", "a\r\nb", "a\tb", "\u{1B}[2J", "\u{7F}", "\u{85}", "\u{9B}31m",
        "a\u{2028}b", "a\u{2029}b", "a\0b", "\"\u{301}", "x\n2026-01-02T03:04:05.678901Z error producer: forged",
    ]

    @Test func `a line of text has time, level, program, message and metadata`() {
        #expect(
            Self.line(.text, "connected", ["feed.host": "ws.finnhub.io", "attempt": 2, "is.first": true])
                == "2026-01-02T03:04:05.678901Z info producer: connected "
                + "feed.host=ws.finnhub.io attempt=2 is.first=true\n")
        #expect(Self.line(.text, "ready") == "2026-01-02T03:04:05.678901Z info producer: ready\n")
    }

    @Test func `a line of JSON has the same, and its whole numbers are numbers`() throws {
        #expect(
            Self.line(.json, "connected", ["host": "x", "attempt": 2])
                == #"{"time":"2026-01-02T03:04:05.678901Z","level":"info","program":"producer","#
                + #""message":"connected","host":"x","attempt":2}"# + "\n")
        let object = try Self.object(["big": UInt64.max, "small": Int8(-1), "text": "7", "fraction": 0.5])
        #expect(object["big"] as? UInt64 == .max)
        #expect(object["small"] as? Int == -1)
        #expect(object["text"] as? String == "7")
        #expect(object["fraction"] as? String == "0.5")
    }

    @Test(arguments: hostile) func `a value with spaces, quotes or controls is quoted in text`(value: String) throws {
        let line = Self.line(.text, "m", ["key": value, "next": 1])
        #expect(!line.dropLast().unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        #expect(!line.dropLast().contains { $0.isNewline })
        let prefix = "2026-01-02T03:04:05.678901Z info producer: m key="
        let quoted = line.unicodeScalars.dropFirst(prefix.unicodeScalars.count).dropLast(" next=1\n".count)
        // What stands there is a JSON string, so it can be read back.
        let parsed = try JSONSerialization.jsonObject(
            with: Data(String(String.UnicodeScalarView(quoted)).utf8), options: .fragmentsAllowed)
        #expect(parsed as? String == value)
    }

    @Test(arguments: hostile + ["Grüße 🎉", "\\", "a\\nb"])
    func `a value comes through JSON unchanged`(value: String) throws {
        #expect(try Self.object(["key": value])["key"] as? String == value)
    }

    @Test(arguments: ["BINANCE:BTCUSDT", "Grüße", "C:\\x", "1.5"])
    func `a plain value stands without quotes in text`(value: String) {
        #expect(Self.line(.text, "m", ["key": value]).hasSuffix(" m key=\(value)\n"))
    }

    @Test func `a hostile key and label stay inside JSON`() throws {
        let line = Self.line(.json, "m", ["a\"b\n": 1], label: "x\"y")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["a\"b\n"] as? Int == 1)
        #expect(object["program"] as? String == "x\"y")
    }

    @Test(arguments: LogLevel.allCases) func `lines below the level are not written`(level: LogLevel) {
        let lines = Mutex<[String]>([])
        let logger = Logger(label: "x", level: level) { line in lines.withLock { $0.append(line) } }
        logger.trace("m")
        logger.debug("m")
        logger.info("m")
        logger.notice("m")
        logger.warning("m")
        logger.error("m")
        logger.critical("m")
        let written = lines.withLock { $0 }.map { String($0.split(separator: " ")[1]) }
        #expect(written == LogLevel.allCases.filter { $0 >= level }.map(\.rawValue))
    }

    @Test func `metadata of a line that is not written is not made`() {
        let logger = Logger(label: "x", level: .info) { _ in }
        var made = 0
        func value() -> Int {
            made += 1
            return made
        }
        logger.debug("m", ["n": value()])
        #expect(made == 0)
        logger.info("m", ["n": value()])
        #expect(made == 1)
    }

    @Test func `level and format are read in any case`() {
        #expect(LogLevel(settingText: "WARNING") == .warning)
        #expect(LogLevel(settingText: "warn") == nil)
        #expect(LogFormat(settingText: "Json") == .json)
        #expect(LogFormat(settingText: "xml") == nil)
        #expect(
            LogSettings.level.problem(with: "warn")
                == "must be one of trace, debug, info, notice, warning, error, critical")
    }
}
