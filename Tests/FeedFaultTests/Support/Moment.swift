import Foundation
import TestSupport

/// A moment by a wall clock, in microseconds since 1970, as RFC 3339 has it in records, events and logs.
struct Moment: Comparable, Decodable, CustomStringConvertible {
    var microseconds: Int64

    init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// Reads the form `2026-08-28T15:35:36.086000Z`.
    init(_ text: String) throws {
        let whole = Data(text.prefix(19).utf8)
        guard text.count == 27, text.hasSuffix("Z"), let fraction = Int64(text.dropFirst(20).prefix(6)),
            let date = try? Date(String(decoding: whole, as: UTF8.self) + "Z", strategy: .iso8601)
        else { throw TestFailure("'\(text)' is no moment") }
        microseconds = Int64(date.timeIntervalSince1970) * 1_000_000 + fraction
    }

    init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    static func < (left: Moment, right: Moment) -> Bool { left.microseconds < right.microseconds }
    /// Seconds from one to another.
    static func - (left: Moment, right: Moment) -> Double { Double(left.microseconds - right.microseconds) / 1e6 }

    var description: String {
        let date = Date(timeIntervalSince1970: Double(microseconds / 1_000_000))
        let fraction = String(microseconds % 1_000_000 + 1_000_000).dropFirst()
        return date.formatted(.iso8601).dropLast() + ".\(fraction)Z"
    }
}
