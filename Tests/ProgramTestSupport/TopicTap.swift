import Foundation
import Kafka
import Synchronization

/// Reads all of a topic while it is written: the embedded broker keeps only the end of it.
package final class TopicTap: Sendable {
    /// A record as the topic holds it.
    package struct Record: Sendable {
        package let partition: Int32
        package let offset: Int64
        package let key: [UInt8]?
        package let value: [UInt8]
    }

    private struct State {
        var records: [Record] = []
        var failure: KafkaError?
        var isStopped = false
    }

    private let state = Mutex(State())

    /// Begins to read from the start, on a thread of its own, until `stop`.
    package init(bootstrap: String, topic: String, partitions: Int) throws {
        let consumer = try KafkaConsumer(settings: .consumer(bootstrapServers: bootstrap, group: "tap"))
        let places = (0..<Int32(partitions)).map { TopicPartition(topic: topic, partition: $0) }
        try consumer.assign(Dictionary(uniqueKeysWithValues: places.map { ($0, Int64(0)) }))
        Thread.detachNewThread { self.read(consumer) }
    }

    /// What has been read so far, in the order of each partition.
    package func records() throws -> [Record] {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            return state.records
        }
    }

    package func stop() { state.withLock { $0.isStopped = true } }

    private func read(_ consumer: KafkaConsumer) {
        while !state.withLock({ $0.isStopped || $0.failure != nil }) {
            switch consumer.poll(milliseconds: 50) {
            case .record(let record):
                let copy = Record(
                    partition: record.partition, offset: record.offset,
                    key: record.key.baseAddress.map { _ in Array(record.key) }, value: Array(record.value))
                state.withLock { $0.records.append(copy) }
            case .nothing: break
            case .rebalance: break
            case .failure(let error, let place):
                // Without a place it is about brokers that are away for a moment.
                if place != nil { state.withLock { $0.failure = error } }
            }
        }
        consumer.close(deadline: .seconds(5))
    }
}
