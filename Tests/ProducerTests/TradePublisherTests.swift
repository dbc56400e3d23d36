import Kafka
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import Producer

extension TradePublisher {
    fileprivate func publish(_ frame: String) -> Outcome? {
        Array(frame.utf8).withUnsafeBytes { publish($0) }
    }
}

@Suite(.timeLimit(.minutes(1))) struct TradePublisherTests {
    @Test func `a frame's trades become records, keyed by symbol, in the documented form`() throws {
        let topic = try TestTopic()
        let publisher = topic.publisher()
        let before = Timestamp.now()
        let outcome = publisher.publish(
            #"{"data":[{"c":["1","8"],"p":317.7750,"s":"AAPL","t":1787924136086,"v":200},"#
                + #"{"c":null,"p":1e-7,"s":"BINANCE:BTCUSDT","t":1787924136087,"v":0.01559}],"type":"trade"}"#)
        guard case .published = outcome else {
            Issue.record("the frame is published")
            return
        }
        _ = publisher.publish(#"{"data":[{"p":2,"s":"q\"\u00fc","t":1,"v":0}],"type":"trade"}"#)
        let records = try topic.records(3)
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
        let publisher = topic.publisher()
        _ = publisher.publish(
            #"{"data":[{"p":1,"s":"A","t":1,"v":1},{"p":0,"s":"A","t":1,"v":1},{"p":-1,"s":"A","t":1,"v":1},"#
                + #"{"p":1,"s":"A","t":1},{"p":"1","s":"A","t":1,"v":1},7,{"p":2,"s":"B","t":1,"v":1}],"type":"trade"}"#
        )
        #expect(try topic.records(2).map(\.key) == ["A", "B"])
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
        let publisher = topic.publisher()
        _ = publisher.publish(#"{"type":"trade","data":[{"p":1,"s":"A","t":1,"v":1},{"p":1,"s""#)
        #expect(try topic.records(1).map(\.key) == ["A"])
        #expect(topic.metrics.render().contains("feed_items_rejected_total{reason=\"malformed_json\"} 1\n"))
    }

    @Test func `frames without trades publish nothing, and only an error is told`() throws {
        let topic = try TestTopic()
        let publisher = topic.publisher()
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
        #expect(topic.topic.producer.enqueuedCount == 0)
        #expect(topic.metrics.render().contains("feed_frames_total 4\n"))
    }

    @Test func `while the queue is full, reading waits, and a stop ends that`() async throws {
        let topic = try TestTopic { $0["queue.buffering.max.messages"] = "1" }
        topic.cluster.setBrokers(up: false)
        let isOver = Mutex(false)
        ServiceThread.start("publisher") {
            let publisher = topic.publisher()
            _ = publisher.publish(
                #"{"data":[{"p":1,"s":"A","t":1,"v":1},{"p":1,"s":"B","t":1,"v":1},"#
                    + #"{"p":1,"s":"C","t":1,"v":1}],"type":"trade"}"#)
            isOver.withLock { $0 = true }
        }
        try await eventually("the queue is full") { topic.topic.producer.enqueuedCount == 1 }
        #expect(!isOver.withLock { $0 })
        topic.shutdown.request()
        try await eventually("the frame is given up") { isOver.withLock { $0 } }
        #expect(topic.metrics.render().contains("kafka_records_refused_total 2\n"))
        topic.cluster.setBrokers(up: true)
        #expect(topic.topic.producer.flush(timeout: .seconds(20)) == 0)
    }

    @Test func `a full queue that empties loses nothing`() async throws {
        let topic = try TestTopic { $0["queue.buffering.max.messages"] = "2" }
        let publisher = topic.publisher()
        for _ in 0..<20 { _ = publisher.publish(#"{"data":[{"p":1,"s":"A","t":1,"v":1}],"type":"trade"}"#) }
        let records = try topic.records(20)
        let numbers = try records.map { try TradeRecord(json: Array($0.value.utf8).span).sequence }
        #expect(numbers == Array(1001...1020))
    }
}
