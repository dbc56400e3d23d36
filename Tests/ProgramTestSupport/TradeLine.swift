import TestSupport

/// A trade as one line of text, `symbol|price|volume|milliseconds|conditions`: what the feed said, digit for digit, with
/// numbers in plain notation.
package enum TradeLine {
    /// From an item of a frame, or from a record of the topic, which has the same keys.
    package static func of(_ trade: JSONText) throws -> String {
        guard let symbol = trade["s"]?.string, let price = trade["p"]?.number, let volume = trade["v"]?.number,
            let time = trade["t"]?.number
        else { throw TestFailure("no trade: \(trade)") }
        let conditions = trade["c"]?.arrayText ?? "null"
        return "\(symbol)|\(plain(price))|\(plain(volume))|\(time)|\(conditions)"
    }

    /// The same of a row of `trade_data_finhub`, in SQL.
    package static let sql = """
        concat_ws('|', symbol, price::text, volume::text, trim_scale(extract(epoch FROM "timestamp") * 1000)::text,
            coalesce(conditions, 'null'))
        """

    /// A JSON number in plain notation with all its digits: `1.50e-3` becomes `0.00150`.
    package static func plain(_ number: String) -> String {
        let parts = number.split(maxSplits: 1) { $0 == "e" || $0 == "E" }
        guard parts.count == 2, let exponent = Int(parts[1]) else { return number }
        let isNegative = parts[0].hasPrefix("-")
        let digits = parts[0].drop { $0 == "-" }.split(separator: ".", omittingEmptySubsequences: false)
        var whole = String(digits[0])
        var fraction = digits.count > 1 ? String(digits[1]) : ""
        for _ in 0..<max(0, exponent) {
            whole.append(fraction.isEmpty ? "0" : fraction.removeFirst())
        }
        for _ in 0..<max(0, -exponent) {
            fraction.insert(whole.popLast() ?? "0", at: fraction.startIndex)
        }
        whole = String(whole.drop { $0 == "0" })
        let value = (whole.isEmpty ? "0" : whole) + (fraction.isEmpty ? "" : "." + fraction)
        return isNegative ? "-" + value : value
    }
}
