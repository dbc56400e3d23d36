internal import CLibwebsockets
import Synchronization

/// Where the log lines of libwebsockets go. One place for the whole process; they are dropped until it is set.
package enum LibwebsocketsLog {
    /// How grave a line is.
    package enum Level: Int, Sendable, Comparable {
        case error = 1
        case warning = 2
        case notice = 4
        case info = 8

        package static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    /// Nil until somebody has chosen; then who gets the lines, if anybody.
    private static let sink = Mutex<Sink?>(nil)

    private struct Sink {
        var receive: (@Sendable (Level, String) -> Void)?
    }

    /// Sends lines up to a level to a closure, which is called on the thread that logs and must be quick.
    ///
    /// What follows `token=` in a line is replaced by `…` before the closure sees it.
    package static func set(upTo level: Level, _ receive: @escaping @Sendable (Level, String) -> Void) {
        sink.withLock { $0 = Sink(receive: receive) }
        lws_set_log_level(Int32(2 * level.rawValue - 1), emit)
    }

    /// Keeps libwebsockets from writing to standard error when nobody has set a place for its lines.
    static func dropByDefault() {
        sink.withLock { sink in
            guard sink == nil else { return }
            lws_set_log_level(0, emit)
            sink = Sink()
        }
    }

    private static let emit: @convention(c) (Int32, UnsafePointer<CChar>?) -> Void = { level, line in
        guard let line, let level = Level(rawValue: Int(level)), let receive = sink.withLock({ $0?.receive }) else {
            return
        }
        receive(level, redacted(String(cString: line)))
    }

    /// The line without its newline and with every `token=` value replaced.
    static func redacted(_ line: String) -> String {
        var result = ""
        var rest = line.hasSuffix("\n") ? line.dropLast() : line[...]
        while let start = rest.firstRange(ofToken: "token=") {
            result += rest[..<start] + "…"
            rest = rest[start...].drop { !" &\"'#\t\r\n".contains($0) }
        }
        return result + rest
    }
}

extension Substring {
    /// The index right after the first occurrence of a text, regardless of case.
    fileprivate func firstRange(ofToken text: String) -> Index? {
        var start = startIndex
        while start < endIndex {
            let candidate = self[start...].prefix(text.count)
            if candidate.lowercased() == text { return candidate.endIndex }
            start = index(after: start)
        }
        return nil
    }
}
