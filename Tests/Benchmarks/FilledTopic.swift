/// The topic that readers are measured on: filled once, by the first who asks.
@MainActor
final class FilledTopic {
    private let workload: Workload
    private let broker: Broker
    private var made: Topic?
    private var groups = 0

    init(_ workload: Workload, _ broker: Broker) {
        self.workload = workload
        self.broker = broker
    }

    func topic() throws -> Topic {
        if let made { return made }
        let topic = try broker.makeTopic(keeping: workload.trades)
        _ = try BareClients.produce(workload, to: topic, evenly: topic.isEmbedded)
        made = topic
        return topic
    }

    /// A group that was never used: nobody waits for members of the last run.
    func newGroup() -> String {
        groups += 1
        return "bench-\(groups)"
    }
}
