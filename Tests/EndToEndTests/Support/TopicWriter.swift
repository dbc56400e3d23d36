import Foundation
import Kafka
import TestSupport

/// Writes records straight into a topic, past the producer.
struct TopicWriter {
    /// A record as it is to stand in the topic; nil is no key or no value at all.
    struct Record: Sendable {
        var key: String?
        var value: [UInt8]?
    }

    let bootstrap: String
    let topic: String

    /// Writes records into a partition, in order, and waits until all are acknowledged.
    func write(_ records: [Record], partition: Int32) async throws {
        try await onThread {
            let producer = try KafkaProducer(settings: .producer(bootstrapServers: bootstrap))
            let target = try producer.topic(topic)
            for record in records {
                try withBytes(record.key.map { Array($0.utf8) }) { key in
                    try withBytes(record.value) { value in
                        _ = try target.produce(key: key, value: value, partition: partition)
                    }
                }
            }
            guard producer.flush(timeout: hangLimit) == 0, producer.acknowledgedCount == records.count else {
                throw TestFailure("\(producer.acknowledgedCount) of \(records.count) records were acknowledged")
            }
        }
    }

    /// The value of a trade's record, as text; it stays good without what a test leaves out or puts in.
    static func trade(
        symbol: String = "\"AAPL\"", price: String? = "317.775", volume: String = "200", time: Int = 1_787_924_136_086,
        conditions: String = "null", sequence: Int
    ) -> String {
        let price = price.map { ",\"p\":\($0)" } ?? ""
        return "{\"s\":\(symbol)\(price),\"t\":\(time),\"v\":\(volume),\"c\":\(conditions),"
            + "\"to_kafka\":\"2026-08-28T12:00:00.000001Z\",\"src\":\"test\",\"seq\":\(sequence),\"repeat\":0}"
    }
}

private func withBytes(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
    guard let bytes else { return try body(UnsafeRawBufferPointer(start: nil, count: 0)) }
    // The byte behind gives an empty value an address too.
    try (bytes + [0]).withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0.dropLast())) }
}
