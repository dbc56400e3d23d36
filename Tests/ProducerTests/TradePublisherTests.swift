import ServiceKit
import Synchronization
import Testing
import TradeModel

@testable import Producer

extension TradePublisher {
    fileprivate func publish(_ frame: String) -> Outcome? {
        Array(frame.utf8).withUnsafeBytes { publish($0) }
    }
}

@Suite(.timeLimit(.minutes(10))) struct TradePublisherTests {
    @Test func `a frame's trades become records, keyed by symbol, in the documented form`() throws {
        let topic = try TestTopic()
        let publisher = try topic.publisher()
        let before = Timestamp.now()
        let outcome = publisher.publish(
            #"{"data":[{"c":["1","8"],"p":317.7750,"s":"AAPL","t":1787924136086,"v":200},"#
                + #"{"c":null,"p":1e-7,"s":"BINANCE:BTCUSDT","t":1787924136087,"v":0.01559}],"type":"trade"}"#)
        guard case .published = outcome else {
            Issue.record("the frame is published")
            return
        }
        _ = publisher.publish(#"{"data":[{"p":2,"s":"q\"\u00fc","t":1,"v":0}],"type":"trade"}"#)
        let records = try topic.records()
        #expect(records.map(\.key) == ["AAPL", "BINANCE:BTCUSDT", "q\"ü"])
        let parsed = try records.map { record in try TradeRecord(json: Array(record.value.utf8).span) }
        let times = parsed.map(\.toKafka)
        #expect(times.allSatisfy { before <= $0 && $0 <= Timestamp.now() })
        #expect(
            records.map(\.value) == [
                #"{"s":"AAPL","p":317.7750,"t":1787924136086,"v":200,"c":["1","8"],"to_kafka":"\#(times[0])","#
                    + #""src":"test","seq":1001,"repeat":0}"#,
                #"{"s":"BINANCE:BTCUSDT","p":0.0000001,"t":1787924136087,"v":0.01559,"c":null,"to_kafka":"\#(times[1])","#
                    + #""src":"test","seq":1002,"repeat":0}"#,
                #"{"s":"q\"ü","p":2,"t":1,"v":0,"c":null,"to_kafka":"\#(times[2])","src":"test","seq":1003,"repeat":0}"#,
            ])
        let text = topic.metrics.render()
        #expect(text.contains("feed_frames_total 2\n"))
        #expect(text.contains("feed_trades_total 3\n"))
    }

    @Test func `items that are no trades are counted by reason, and the others of their frame go on`() throws {
        let topic = try TestTopic()
        let publisher = try topic.publisher()
        _ = publisher.publish(
            #"{"data":[{"p":1,"s":"A","t":1,"v":1},{"p":0,"s":"A","t":1,"v":1},{"p":-1,"s":"A","t":1,"v":1},"#
                + #"{"p":1,"s":"A","t":1},{"p":"1","s":"A","t":1,"v":1},7,{"p":2,"s":"B","t":1,"v":1}],"type":"trade"}"#
        )
        #expect(try topic.records().map(\.key) == ["A", "B"])
        let text = topic.metrics.render()
        for (reason, count) in [
            ("price_not_positive", 2), ("missing_field", 1), ("wrong_type", 1), ("not_an_object", 1),
            ("malformed_json", 0),
        ] {
            #expect(text.contains("feed_items_rejected_total{reason=\"\(reason)\"} \(count)\n"))
        }
        #expect(text.contains("feed_trades_total 2\n"))
    }

    @Test func `of a frame that ends in the middle the items before count`() throws {
        let topic = try TestTopic()
        let publisher = try topic.publisher()
        _ = publisher.publish(#"{"type":"trade","data":[{"p":1,"s":"A","t":1,"v":1},{"p":1,"s""#)
        #expect(try topic.records().map(\.key) == ["A"])
        #expect(topic.metrics.render().contains("feed_items_rejected_total{reason=\"malformed_json\"} 1\n"))
    }

    @Test func `frames without trades publish nothing, and only an error is told`() throws {
        let topic = try TestTopic()
        let publisher = try topic.publisher()
        for frame in [#"{"type":"ping"}"#, #"{"type":"news","data":[]}"#, "{}"] {
            #expect(publisher.publish(frame) == nil, "\(frame)")
        }
        guard
            case .feedError("Subscribing to too many symbols") = publisher.publish(
                #"{"msg":"Subscribing to too many symbols","type":"error"}"#)
        else {
            Issue.record("the feed's error is told")
            return
        }
        #expect(topic.tradeCount == 0)
        #expect(topic.metrics.render().contains("feed_frames_total 4\n"))
    }

    @Test func `a spool that is nearly full says so before it is, and drops no trade before`() throws {
        let topic = try TestTopic(limits: Spool.Limits(bytes: 8 << 16, segmentBytes: 1 << 16))
        let publisher = try topic.publisher()
        var sent = 0
        while publisher.hasRoom {
            _ = publisher.publish(#"{"data":[{"p":1,"s":"A","t":1,"v":1}],"type":"trade"}"#)
            sent += 1
        }
        #expect(topic.tradeCount == sent && topic.counts.dropped.value == 0)
        // What one message can bring still finds a place.
        for _ in 0..<1000 { _ = publisher.publish(#"{"data":[{"p":1,"s":"A","t":1,"v":1}],"type":"trade"}"#) }
        #expect(topic.tradeCount == sent + 1000)
    }

    @Test func `a full spool drops what comes, counts it, and keeps what it has`() throws {
        let topic = try TestTopic(limits: Spool.Limits(bytes: 8 << 12, segmentBytes: 1 << 12))
        let publisher = try topic.publisher()
        for _ in 0..<1000 { _ = publisher.publish(#"{"data":[{"p":1,"s":"A","t":1,"v":1}],"type":"trade"}"#) }
        let kept = topic.tradeCount
        #expect(kept > 100 && topic.counts.dropped.value == Int64(1000 - kept))
        let numbers = try topic.records().map { try TradeRecord(json: Array($0.value.utf8).span).sequence }
        #expect(numbers == (0..<kept).map { 1001 + Int64($0) })
        var report = topic.report()
        report.finish()
        let dropped = try #require(try topic.feedEvents().first { $0.kind == .dropped })
        #expect(dropped.details == [ShortText("spool_full")!: Int64(1000 - kept)])
    }

    @Test func `a trade too large for a file of the spool is dropped alone`() throws {
        let topic = try TestTopic(limits: Spool.Limits(bytes: 8 << 12, segmentBytes: 1 << 12))
        let publisher = try topic.publisher()
        let conditions = "[" + (0..<2000).map { "\"\($0)\"" }.joined(separator: ",") + "]"
        _ = publisher.publish(
            #"{"data":[{"p":1,"s":"A","t":1,"v":1},{"p":1,"s":"B","t":1,"v":1,"c":\#(conditions)},"#
                + #"{"p":1,"s":"C","t":1,"v":1}],"type":"trade"}"#)
        #expect(try topic.records().map(\.key) == ["A", "C"])
        #expect(topic.counts.dropped.value == 1)
    }

    @Test func `broken messages do not flood the log`() throws {
        let lines = Mutex(0)
        let publisher = try TestTopic().publisher(logger: Logger(label: "test") { _ in lines.withLock { $0 += 1 } })
        for _ in 0..<10_000 { _ = publisher.publish("{") }
        #expect(lines.withLock { $0 } <= 20)
    }
}
