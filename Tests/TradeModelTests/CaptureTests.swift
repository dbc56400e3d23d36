import Foundation
import Testing

@testable import TradeModel

/// What the real feed sent: `finnhub-capture.jsonl` beside the package, one line a frame.
@Suite struct CaptureTests {
    private static let file = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "shared/data/finnhub-capture.jsonl")
    private static let isPresent = FileManager.default.fileExists(atPath: file.path())

    private struct Line: Decodable {
        var frame: String
    }

    private static func frames() throws -> [String] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(Line.self, from: Data($0.utf8)).frame
        }
    }

    @Test(.enabled(if: isPresent, "the capture ../shared/data/finnhub-capture.jsonl is not here"))
    func `all 54 trades of the capture and its ping are read, with exactly the digits in the text`() throws {
        var kinds: [FeedParser.Message] = []
        var trades = 0
        for frame in try Self.frames() {
            let result = parse(frame)
            kinds.append(result.message)
            trades += result.trades.count
            #expect(result.rejections.isEmpty)
            // Written anew from what was read, in the feed's own order of keys: the very bytes of the frame.
            let items = result.trades.map { trade in
                #"{"t":\#(trade.time.milliseconds),"p":\#(trade.price),"v":\#(trade.volume),"#
                    + #""c":\#(text(trade.conditions, of: frame)),"s":"\#(trade.symbol)"}"#
            }
            let written =
                items.isEmpty ? #"{"type":"ping"}"# : #"{"type":"trade","data":["# + items.joined(separator: ",") + "]}"
            #expect(written == frame)
        }
        #expect(kinds.count { $0 == .trades } == 11)
        #expect(kinds.count { $0 == .ping } == 1)
        #expect(kinds.count == 12)
        #expect(trades == 54)
    }
}
