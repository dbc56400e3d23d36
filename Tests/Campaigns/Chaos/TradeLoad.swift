import Foundation
import Kafka
import Synchronization
import TradeModel

/// Writes trades of several sources straight into the topic, as producers do, and knows which Kafka has acknowledged.
///
/// Each source numbers its trades from 1. When a client is done for, the next one sends again what is not acknowledged, in
/// order, like a producer's spool.
final class TradeLoad: Sendable {
    static let sources = 5
    private static let symbols = 24

    private struct State {
        var isAcknowledged: [Bool] = []
        var isStopping = false
        var result: Result<Void, any Error>?
    }

    private let state = Mutex(State())
    private let bootstrap: String
    private let topic: String
    private let rate: Int

    /// Begins to write, so many trades a second, on a thread of its own.
    init(bootstrap: String, topic: String, rate: Int) {
        self.bootstrap = bootstrap
        self.topic = topic
        self.rate = rate
        Thread.detachNewThread {
            let result = Result { try self.run() }
            self.state.withLock { $0.result = result }
        }
    }

    /// Begins no more trades, and waits until Kafka has acknowledged all there are.
    /// - Returns: those that it has acknowledged, as source and number.
    func stop() async throws -> [(source: String, sequence: Int)] {
        state.withLock { $0.isStopping = true }
        let deadline = ContinuousClock.now + .seconds(120)
        while true {
            if let result = state.withLock({ $0.result }) {
                try result.get()
                return state.withLock { state in
                    state.isAcknowledged.indices.filter { state.isAcknowledged[$0] }.map(Self.place)
                }
            }
            guard ContinuousClock.now < deadline else { throw CampaignError("Kafka acknowledges no more trades") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Throws what has ended it before its time.
    func check() throws {
        try state.withLock { $0.result }?.get()
    }

    private static func place(_ trade: Int) -> (source: String, sequence: Int) {
        ("load-\(trade % sources)", trade / sources + 1)
    }

    private func run() throws {
        let start = ContinuousClock.now
        var made = 0
        while true {
            let client = try KafkaProducer(
                settings: .producer(bootstrapServers: bootstrap),
                events: KafkaEvents(delivered: { [self] trade, error in
                    if error == nil { state.withLock { $0.isAcknowledged[trade] = true } }
                }))
            do {
                let target = try client.topic(topic)
                let missing = state.withLock { state in
                    state.isAcknowledged.indices.filter { !state.isAcknowledged[$0] }
                }
                for trade in missing { try send(trade, to: target) }
                while client.fatalFailure == nil {
                    let (isStopping, isDone) = state.withLock { ($0.isStopping, !$0.isAcknowledged.contains(false)) }
                    if isStopping, isDone { return }
                    let due = isStopping ? made : Int((ContinuousClock.now - start) / .seconds(1) * Double(rate))
                    state.withLock { $0.isAcknowledged += repeatElement(false, count: due - made) }
                    while made < due {
                        try send(made, to: target)
                        made += 1
                    }
                    client.poll(milliseconds: 10)
                }
            } catch let error as KafkaError where error.isFatal {}
            print("the load's client is done for, and another takes over: \(client.fatalFailure.map { "\($0)" } ?? "")")
            _ = client.purge(timeout: .seconds(10))
        }
    }

    private func send(_ trade: Int, to target: KafkaProducerTopic) throws {
        let (source, sequence) = Self.place(trade)
        // The symbol is the key, so that each source is in each partition.
        let symbol = "SYM:\(trade / Self.sources % Self.symbols)"
        let now = Int64(Date().timeIntervalSince1970 * 1_000_000)
        let value =
            #"{"s":"\#(symbol)","p":\#(100 + trade % 37).\#(trade % 10),"t":\#(now / 1000),"v":\#(trade % 5),"c":null,"#
            + #""to_kafka":"\#(Timestamp(microseconds: now))","src":"\#(source)","seq":\#(sequence),"repeat":0}"#
        try Array(symbol.utf8).withUnsafeBytes { key in
            try Array(value.utf8).withUnsafeBytes { value in
                while try target.send(key: key, value: value, token: trade) == .queueFull {
                    target.producer.poll(milliseconds: 10)
                }
            }
        }
    }
}
