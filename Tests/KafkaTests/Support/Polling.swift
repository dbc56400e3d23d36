import Foundation
import Kafka
import TestSupport

/// A record as a value of its own.
struct Received: Sendable {
    let place: TopicPartition
    let offset: Int64
    let timestamp: Int64
    let key: String?
    let value: String?

    init(_ record: borrowing KafkaRecord) {
        place = TopicPartition(topic: record.topic, partition: record.partition)
        offset = record.offset
        timestamp = record.timestamp
        key = Self.text(record.key)
        value = Self.text(record.value)
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String? {
        bytes.baseAddress.map { _ in String(decoding: bytes, as: UTF8.self) }
    }
}

struct Timeout: Error {
    let waitedFor: String
}

extension ContinuousClock {
    /// Repeats `step` until it gives a value.
    @discardableResult
    static func wait<R>(for what: String, within limit: Duration = hangLimit, _ step: () throws -> R?) throws -> R {
        let end = now + limit
        while now < end {
            if let result = try step() { return result }
        }
        throw Timeout(waitedFor: what)
    }
}

extension KafkaConsumer {
    /// The next records, rebalances being answered by an assignment from `offset` on. Failures are thrown.
    func records(_ count: Int, assigningFrom offset: Int64 = 0) throws -> [Received] {
        var received: [Received] = []
        return try ContinuousClock.wait(for: "\(count) records") {
            switch poll(milliseconds: 100) {
            case .record(let record): received.append(Received(record))
            case .nothing: break
            case .rebalance(.assigned(let places)): try assign(places.all(at: offset))
            case .rebalance(.revoked): try unassign()
            case .failure(let error, _): throw error
            }
            return received.count >= count ? received : nil
        }
    }

    func nextRebalance() throws -> KafkaRebalance {
        try ContinuousClock.wait(for: "a rebalance") {
            switch poll(milliseconds: 100) {
            case .rebalance(let rebalance): return rebalance
            case .failure(let error, _): throw error
            default: return nil
            }
        }
    }

    func nextFailure() throws -> (error: KafkaError, place: TopicPartition?) {
        try ContinuousClock.wait(for: "a failure") {
            switch poll(milliseconds: 100) {
            case .failure(let error, let place): (error, place)
            default: nil
            }
        }
    }
}

extension [TopicPartition] {
    func all(at offset: Int64) -> [TopicPartition: Int64] {
        Dictionary(uniqueKeysWithValues: map { ($0, offset) })
    }
}
