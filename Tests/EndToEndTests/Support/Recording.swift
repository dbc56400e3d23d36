import Foundation
import Glibc
import ProgramTestSupport
import TestSupport

/// What the simulator has written down of the frames that it sent.
struct Recording {
    let path: String
    private var offset: UInt64 = 0
    /// How many trades were in the file at the last `update`.
    private(set) var tradeCount = 0

    init(path: String) {
        self.path = path
    }

    /// Every trade that was sent, in the feed's order, as `TradeLine`s.
    func trades() throws -> [String] {
        var trades: [String] = []
        for line in try Data(contentsOf: URL(fileURLWithPath: path)).split(separator: UInt8(ascii: "\n")) {
            guard let entry = try JSONSerialization.jsonObject(with: line) as? [String: Any],
                let text = entry["frame"] as? String
            else { throw TestFailure("no frame: \(String(decoding: line.prefix(300), as: UTF8.self))") }
            let frame = try JSONText(text.utf8)
            guard frame["type"]?.string == "trade" else { continue }
            for trade in frame["data"]?.elements ?? [] { trades.append(try TradeLine.of(trade)) }
        }
        return trades
    }

    /// Counts the trades that came into the file since the last time, by the key of their price.
    mutating func update() throws {
        guard let file = FileHandle(forReadingAtPath: path) else { return }
        defer { try? file.close() }
        try file.seek(toOffset: offset)
        let data = try file.readToEnd() ?? Data()
        guard let end = data.lastIndex(of: UInt8(ascii: "\n")) else { return }
        offset += UInt64(data[...end].count)
        // The text of a C string: it ends with a NUL.
        (data[...end] + [0]).withUnsafeBytes { bytes in
            var place = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            while let start = place, let found = strstr(start, #"\"p\":"#) {
                tradeCount += 1
                place = UnsafePointer(found) + 1
            }
        }
    }
}
