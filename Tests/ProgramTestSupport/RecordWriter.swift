import Kafka
import TestSupport

/// Writes records of made-up sources straight into the topics, as producers do: numbered, and some of them again.
package struct RecordWriter {
    private let broker: Broker

    package init(broker: Broker) {
        self.broker = broker
    }

    /// A trade's record, which is the same each time that it is written.
    package static func trade(_ source: String, _ sequence: Int) -> String {
        let price = "\(100 + sequence % 37).\(sequence % 10)"
        return #"{"s":"\#(source)-\#(sequence % 3)","p":\#(price),"t":\#(1_787_924_136_000 + sequence * 7),"#
            + #""v":\#(sequence % 5),"c":null,"to_kafka":"2026-08-28T12:00:00.000001Z","#
            + #""src":"\#(source)","seq":\#(sequence),"repeat":0}"#
    }

    package static func event(_ source: String, _ sequence: Int) -> String {
        #"{"kind":"connected","at":"2026-08-28T12:00:00Z","src":"\#(source)","seq":\#(sequence)}"#
    }

    /// Writes to one partition, in order, and waits until all is acknowledged.
    package func write(_ values: [String], to topic: String, partition: Int32) async throws {
        try await onThread { [bootstrap = broker.bootstrap] in
            let target = try KafkaProducer(settings: .producer(bootstrapServers: bootstrap)).topic(topic)
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            for value in values {
                try Array(value.utf8).withUnsafeBytes { value in
                    while try target.produce(key: none, value: value, partition: partition) == .queueFull {
                        target.producer.poll(milliseconds: 10)
                    }
                }
            }
            guard target.producer.flush(timeout: hangLimit) == 0, target.producer.failedCount == 0 else {
                throw TestFailure("the records were not produced")
            }
        }
    }
}
