import Glibc
import Kafka
import ServiceKit
import TradeModel

/// Sends the first trades of a workload at an even pace, each stamped when it is handed to Kafka's client.
enum PacedTrades {
    /// Sends with the producer's own settings, and waits until all is acknowledged.
    static func send(_ workload: Workload, count: Int, every pause: Duration, to topic: Topic) throws {
        let producer = try KafkaProducer(settings: .producer(bootstrapServers: topic.bootstrapServers))
        let target = try producer.topic(topic.name)
        _ = try producer.partitionCount(of: topic.name, timeout: .seconds(10))
        var parser = FeedParser()
        var value = ByteWriter(capacity: 1024)
        let source = ShortText("bench")!
        var sent = 0
        let started = ContinuousClock.now
        for range in workload.frames {
            let frame = Array(workload.wire[range])
            _ = parser.parse(frame.span)
            for trade in parser.trades.prefix(count - sent) {
                sleep(until: started + pause * sent, polling: producer)
                sent += 1
                value.clear()
                let record = TradeRecord(
                    trade: trade, toKafka: .now(), source: source, sequence: Int64(sent), repeats: 0)
                frame.withUnsafeBytes { value.write(record, conditionsFrom: $0) }
                let outcome = trade.symbol.withBytes { key in
                    value.withBytes { value in Result { try target.produce(key: key, value: value) } }
                }
                guard try outcome.get() == .enqueued else { throw BenchError("the queue is full at this pace") }
            }
            if sent == count { break }
        }
        guard producer.flush(timeout: .seconds(60)) == 0, producer.acknowledgedCount == count else {
            throw BenchError("only \(producer.acknowledgedCount) of \(count) records were acknowledged")
        }
    }

    /// Serves acknowledgements meanwhile. A moment that has passed is made up for at once.
    private static func sleep(until moment: ContinuousClock.Instant, polling producer: KafkaProducer) {
        producer.poll(milliseconds: 0)
        let rest = moment - .now
        if rest > .zero { usleep(UInt32(rest / .microseconds(1))) }
    }
}
