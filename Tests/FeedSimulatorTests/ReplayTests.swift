import Foundation
import ServiceKit
import Testing
import TradeModel

@testable import FeedSimulator

struct ReplayTests {
    private static let lines = #"""
        {"at_ms":100,"frame":"{\"type\":\"trade\",\"data\":[{\"t\":1,\"p\":1.5,\"v\":2,\"s\":\"AAPL\"}]}"}
        {"at_ms":200.5,"frame":"{\"data\":[{\"p\":2,\"s\":\"MSFT\",\"t\":2,\"v\":0}],\"type\":\"trade\"}"}

        {"at_ms":200.5,"frame":"{\"type\":\"ping\"}"}
        {"at_ms":1000,"frame":"{\"data\":[{\"p\":3,\"s\":\"MSFT\",\"t\":3,\"v\":1},{\"p\":3,\"s\":\"AAPL\",\"t\":3,\"v\":1}],\"type\":\"trade\"}"}
        {"at_ms":1000,"frame":"not json \u00e9"}
        """#

    private static func feed(speed: Double, _ symbols: String...) throws -> ReplayFeed {
        var feed = ReplayFeed(try Replay(lines, path: "lines"), speed: speed)
        for name in symbols { feed.subscribe(try symbol(name), at: moment(.zero)) }
        return feed
    }

    /// The frames that are due at a moment, each with its count of trades.
    private static func due(_ feed: inout ReplayFeed, _ offset: Duration) -> [String] {
        var frame = FrameWriter()
        var frames: [String] = []
        while feed.writeFrame(&frame, at: moment(offset), allowance: .max) != nil {
            frames.append(frame.withBytes { String(decoding: $0, as: UTF8.self) })
        }
        return frames
    }

    @Test func `Frames come verbatim in their order and at their time`() throws {
        var feed = try Self.feed(speed: 1, "AAPL", "MSFT")
        let frames = try Replay(Self.lines, path: "lines").frames.map(\.text)
        #expect(frames.count == 5)
        #expect(frames[0] == #"{"type":"trade","data":[{"t":1,"p":1.5,"v":2,"s":"AAPL"}]}"#)
        #expect(Self.due(&feed, .milliseconds(99)) == [])
        #expect(Self.due(&feed, .milliseconds(100)) == [frames[0]])
        #expect(Self.due(&feed, .microseconds(200_499)) == [])
        #expect(Self.due(&feed, .microseconds(200_500)) == [frames[1], frames[2]])
        #expect(Self.due(&feed, .seconds(5)) == [frames[3], frames[4]])
        #expect(Self.due(&feed, .seconds(50)) == [])
        #expect(frames[4] == "not json é")
    }

    @Test func `A speed of ten is ten times faster and zero does not wait`() throws {
        var tenTimes = try Self.feed(speed: 10, "AAPL", "MSFT")
        #expect(Self.due(&tenTimes, .milliseconds(9)).count == 0)
        #expect(Self.due(&tenTimes, .milliseconds(10)).count == 1)
        #expect(Self.due(&tenTimes, .milliseconds(100)).count == 4)
        var atOnce = try Self.feed(speed: 0, "AAPL", "MSFT")
        #expect(Self.due(&atOnce, .zero).count == 5)
    }

    @Test func `Frames with trades of other symbols alone are left out`() throws {
        var feed = try Self.feed(speed: 0, "AAPL")
        let frames = try Replay(Self.lines, path: "lines").frames.map(\.text)
        #expect(Self.due(&feed, .zero) == [frames[0], frames[2], frames[3], frames[4]])
    }

    @Test func `Nothing comes before the first subscription`() throws {
        var feed = try Self.feed(speed: 1)
        #expect(Self.due(&feed, .seconds(9)) == [])
        feed.subscribe(try symbol("AAPL"), at: moment(.seconds(10)))
        #expect(Self.due(&feed, .milliseconds(10_100)).count == 1)
    }

    @Test func `A replay stops before the frame that would pass the limit of trades`() throws {
        var feed = try Self.feed(speed: 0, "AAPL", "MSFT")
        var frame = FrameWriter()
        #expect(feed.writeFrame(&frame, at: moment(.zero), allowance: 1) == 1)
        #expect(feed.writeFrame(&frame, at: moment(.zero), allowance: 0) == nil)
    }

    @Test(arguments: [
        "junk", "{\"at_ms\":1}", "{\"frame\":\"x\"}", "{\"at_ms\":-1,\"frame\":\"x\"}",
        "{\"at_ms\":\"1\",\"frame\":\"x\"}", "{\"at_ms\":4,\"frame\":\"x\"}",
    ])
    func `A line that is no recording is refused by its number`(line: String) throws {
        let error = #expect(throws: ConfigurationError.self) {
            try Replay("{\"at_ms\":5,\"frame\":\"x\"}\n\(line)\n", path: "some.jsonl")
        }
        #expect(error?.description.contains("'some.jsonl', line 2") == true)
    }

    @Test func `What is recorded can be replayed but for events and faults`() async throws {
        let frames = [#"{"type":"ping"}"#, "quote \" backslash \\ line\n tab\t é 😀", ""]
        try await withDirectory { directory in
            let path = directory.appending(path: "record.jsonl").path
            var recording = try Recording(path: path)
            recording.begin(at: moment(.seconds(1)).instant)
            for (index, frame) in frames.enumerated() {
                Array(frame.utf8).withUnsafeBytes { bytes in
                    recording.append(bytes, connection: 1, at: moment(.microseconds(2_000_001 * (index + 1))))
                }
            }
            recording.append(event: "ended", connection: 1, at: moment(.seconds(9)))
            Array("{".utf8).withUnsafeBytes { bytes in
                recording.append(bytes, connection: 2, fault: "dropped", at: moment(.seconds(9)))
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "")
            try recording.flush()
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            #expect(
                lines.first
                    == #"{"at_ms":1000.001,"time":"2026-08-28T13:35:36.086000Z","connection":1,"frame":"{\"type\":\"ping\"}"}"#
            )
            #expect(lines.last?.hasSuffix(#""connection":2,"fault":"dropped","frame":"{"}"#) == true)
            let replay = try Replay(contentsOf: path)
            #expect(replay.frames.map(\.text) == frames)
            #expect(replay.frames[0].offset == .microseconds(1_000_001))
        }
    }

    @Test func `A recording that cannot be written says where`() {
        let error = #expect(throws: SystemError.self) { _ = try Recording(path: "/nowhere/record.jsonl") }
        #expect(error?.description.contains("/nowhere/record.jsonl") == true)
    }
}
