import Foundation
import Kafka
import ServiceKit
import Synchronization
import TradeModel

/// The Kafka clients with nothing behind them: the limits of what goes into the broker, and of how long it takes.
enum BareClients {
    /// Writes the records with the producer's own settings.
    /// - Parameter evenly: over all partitions in turn, instead of by key.
    /// - Returns: the time from the first record to the last acknowledgement, and this process' CPU seconds with the client's
    ///   start.
    @discardableResult
    static func produce(_ workload: Workload, to topic: Topic, evenly: Bool = false) throws -> (Duration, Double) {
        let cpuBefore = MeasuredProgram.Usage.ofThisProcess.cpuSeconds
        let producer = try KafkaProducer(settings: .producer(bootstrapServers: topic.bootstrapServers))
        let target = try producer.topic(topic.name)
        _ = try producer.partitionCount(of: topic.name, timeout: .seconds(10))
        let started = ContinuousClock.now
        try workload.forEachRecord { index, key, value in
            let partition = evenly ? Int32(index % topic.partitions) : nil
            while try target.produce(key: key, value: value, partition: partition) == .queueFull {
                producer.poll(milliseconds: 10)
            }
            if index.isMultiple(of: 1000) { producer.poll(milliseconds: 0) }
        }
        let outstanding = producer.flush(timeout: .seconds(60))
        let time = ContinuousClock.now - started
        guard outstanding == 0, producer.acknowledgedCount == workload.trades else {
            throw BenchError("only \(producer.acknowledgedCount) of \(workload.trades) records were acknowledged")
        }
        return (time, MeasuredProgram.Usage.ofThisProcess.cpuSeconds - cpuBefore)
    }

    /// Writes records at an even pace and reads them as they come, both with the programs' own settings.
    /// - Returns: the median time from `to_kafka` to the poll that brings the record, in milliseconds.
    static func pass(_ workload: Workload, count: Int, every pause: Duration, through topic: Topic) throws -> Double {
        let consumer = try KafkaConsumer(
            settings: .consumer(bootstrapServers: topic.bootstrapServers, group: topic.name))
        defer { consumer.close(deadline: .seconds(5)) }
        let places = (0..<Int32(topic.partitions)).map { TopicPartition(topic: topic.name, partition: $0) }
        // A partition of a new topic that is assigned before its leader is known may never be fetched.
        let ready = ContinuousClock.now + .seconds(10)
        while !places.allSatisfy({ (try? consumer.watermarks($0, timeout: .seconds(1))) != nil }) {
            guard ContinuousClock.now < ready else { throw BenchError("\(topic.name) has partitions without a leader") }
            usleep(50_000)
        }
        try consumer.assign(Dictionary(uniqueKeysWithValues: places.map { ($0, 0) }))
        let sending = Mutex<Result<Void, any Error>?>(nil)
        Thread.detachNewThread {
            let result = Result { try PacedTrades.send(workload, count: count, every: pause, to: topic) }
            sending.withLock { $0 = result }
        }
        var times: [Int64] = []
        let deadline = ContinuousClock.now + pause * count + .seconds(60)
        while times.count < count {
            switch consumer.poll(milliseconds: 100) {
            case .record(let record):
                let now = Timestamp.now()
                let trade = try TradeRecord(json: record.value.bindMemory(to: UInt8.self).span)
                times.append(now.microseconds - trade.toKafka.microseconds)
            case .failure(let error, _): throw error
            case .rebalance: throw BenchError("nobody asked for a rebalance")
            case .nothing:
                try sending.withLock { $0 }?.get()
                guard ContinuousClock.now < deadline else { throw BenchError("only \(times.count) records came") }
            }
        }
        while sending.withLock({ $0 == nil }) { usleep(1_000) }
        try sending.withLock { $0 }?.get()
        return Double(times.sorted()[times.count / 2]) / 1000
    }
}
