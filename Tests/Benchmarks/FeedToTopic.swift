import Glibc
import ServiceKit

/// The program `producer` between a feed on this machine and a topic.
struct FeedToTopic: Stage {
    let workload: Workload
    let broker: Broker

    let name = "feed to topic"
    let limitName = "bare librdkafka, produce"

    /// The broker's first records cost it more than all later ones.
    func prepare() throws {
        _ = try measureLimit()
    }

    func measureLimit() throws -> Limit {
        let topic = try broker.makeTopic()
        let (time, cpuSeconds) = try BareClients.produce(workload, to: topic)
        try check(topic)
        return Limit(rate: workload.rate(over: time), cpuSeconds: cpuSeconds)
    }

    func measure() async throws -> Measurement {
        let topic = try broker.makeTopic()
        let feed = try FeedServer(workload)
        defer { feed.stop() }
        let producer = try MeasuredProgram(
            "producer",
            [
                "--feed-url", feed.url, "--symbols", workload.symbols.joined(separator: ","),
                "--kafka-bootstrap-servers", topic.bootstrapServers, "--trades-topic", topic.name,
            ])
        guard let started = feed.waitForBegin() else {
            try producer.checkRunning()
            throw BenchError("the producer did not subscribe")
        }
        var watch = Watch(goal: workload.trades)
        while try watch.goesOn(topic.recordCount()) { try producer.checkRunning() }
        let time = ContinuousClock.now - started
        let usage = try producer.usage()
        try await producer.stop()
        try check(topic)
        return Measurement(rate: workload.rate(over: time), usage: usage)
    }

    private func check(_ topic: Topic) throws {
        let count = try topic.recordCount()
        guard count == workload.trades else {
            throw BenchError("\(count) of \(workload.trades) records are in the topic")
        }
        try broker.delete(topic)
    }
}

/// Waits for a count to reach its goal, and gives up when it stands still.
struct Watch {
    let goal: Int
    private var last = 0
    private var lastProgress = ContinuousClock.now

    init(goal: Int) {
        self.goal = goal
    }

    /// Takes a reading; when the goal is not reached, waits a moment.
    /// - Parameter pause: in microseconds.
    mutating func goesOn(_ count: Int, pause: UInt32 = 20_000) throws -> Bool {
        if count >= goal { return false }
        if count > last { (last, lastProgress) = (count, .now) }
        guard ContinuousClock.now - lastProgress < .seconds(60) else {
            throw BenchError("nothing moves: \(count) of \(goal) trades are through")
        }
        usleep(pause)
        return true
    }
}
