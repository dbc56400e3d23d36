import TradeModel

/// How much a line matters, with swift-log's names.
package enum LogLevel: String, CaseIterable, Comparable, Sendable, SettingValue {
    case trace, debug, info, notice, warning, error, critical

    package static let typeName = "one of " + allCases.map(\.rawValue).joined(separator: ", ")

    package init?(settingText text: String) {
        self.init(rawValue: text.lowercased())
    }

    package static func < (left: LogLevel, right: LogLevel) -> Bool {
        allCases.firstIndex(of: left)! < allCases.firstIndex(of: right)!
    }
}

/// The form of a log line.
package enum LogFormat: String, CaseIterable, Sendable, SettingValue {
    /// `2026-01-02T03:04:05.678901Z info producer: connected feed.host=ws.finnhub.io`
    case text
    /// One JSON object a line.
    case json

    package static let typeName = "one of text, json"

    package init?(settingText text: String) {
        self.init(rawValue: text.lowercased())
    }
}

/// The settings of logging, which every program has.
package enum LogSettings {
    package static let level = Setting<LogLevel>(
        "log-level", default: "info", help: "The least level that is logged: \(LogLevel.typeName).")
    package static let format = Setting<LogFormat>(
        "log-format", default: "text", help: "The form of log lines on standard error: text or json.")
}

/// Writes log lines to standard error: a constant message, and what varies as metadata.
///
/// A line is one write, so lines of several threads do not mix. Nothing is logged a trade.
package struct Logger: Sendable {
    /// What varies in a line, in its order, with names such as `kafka.topic`.
    package typealias Metadata = KeyValuePairs<String, any CustomStringConvertible & Sendable>

    package let label: String
    package let level: LogLevel
    package let format: LogFormat
    private let output: @Sendable (String) -> Void

    package init(
        label: String, level: LogLevel = .info, format: LogFormat = .text,
        output: @escaping @Sendable (String) -> Void = { writeToStandardError($0) }
    ) {
        self.label = label
        self.level = level
        self.format = format
        self.output = output
    }

    init(label: String, configuration: Configuration) {
        self.init(label: label, level: configuration[LogSettings.level], format: configuration[LogSettings.format])
    }

    package func trace(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.trace, message, metadata())
    }
    package func debug(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.debug, message, metadata())
    }
    package func info(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.info, message, metadata())
    }
    package func notice(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.notice, message, metadata())
    }
    package func warning(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.warning, message, metadata())
    }
    package func error(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.error, message, metadata())
    }
    package func critical(_ message: StaticString, _ metadata: @autoclosure () -> Metadata = [:]) {
        log(.critical, message, metadata())
    }

    /// Writes a line of the given level, unless lines of that level are not wanted.
    package func log(_ level: LogLevel, _ message: StaticString, _ metadata: @autoclosure () -> Metadata) {
        guard level >= self.level else { return }
        output(line(level, message, metadata(), at: .now()))
    }

    func line(_ level: LogLevel, _ message: StaticString, _ metadata: Metadata, at time: Timestamp) -> String {
        var line = ByteWriter(capacity: 256)
        switch format {
        case .text:
            line.write(time)
            line.write(" \(level.rawValue) \(label): ")
            line.write(message)
            for (key, value) in metadata {
                line.write(" \(key)=")
                let text = value.description
                let isPlain =
                    !text.isEmpty
                    && text.unicodeScalars.allSatisfy {
                        $0 != " " && $0 != "\"" && $0 != "=" && !$0.isControl
                    }
                if isPlain { line.write(text) } else { line.writeVisibly(text) }
            }
        case .json:
            line.write("{\"time\":\"")
            line.write(time)
            line.write("\",\"level\":\"\(level.rawValue)\",\"program\":")
            line.writeVisibly(label)
            line.write(",\"message\":")
            line.writeVisibly(message.description)
            for (key, value) in metadata {
                line.write(",")
                line.writeVisibly(key)
                line.write(":")
                if let number = value as? any BinaryInteger {
                    line.write(number.description)
                } else {
                    line.writeVisibly(value.description)
                }
            }
            line.write("}")
        }
        line.write("\n")
        return line.string
    }
}
