import Foundation
import Kafka
import TestSupport
import Testing

@Suite struct KafkaConsumerTests {
    @Test func `a rebalance gives the partitions, and reading begins at the assigned offsets`() async throws {
        try await TestCluster.run(partitions: 2) { cluster, topic in
            try cluster.fill(topic, partitions: 0..<2, count: 100)
            let consumer = try cluster.consumer()
            try consumer.subscribe(topics: [topic])
            guard case .assigned(let places) = try consumer.nextRebalance() else {
                Issue.record("the first rebalance is an assignment")
                return
            }
            #expect(
                Set(places) == [TopicPartition(topic: topic, partition: 0), TopicPartition(topic: topic, partition: 1)])
            #expect(consumer.assignment.isEmpty)

            try consumer.assign([
                TopicPartition(topic: topic, partition: 0): 97, TopicPartition(topic: topic, partition: 1): 40,
            ])
            #expect(Set(consumer.assignment) == Set(places))
            #expect(!consumer.isAssignmentLost)
            let received = try consumer.records(63)
            #expect(received.filter { $0.place.partition == 0 }.map(\.offset) == Array(97..<100))
            #expect(received.filter { $0.place.partition == 1 }.map(\.offset) == Array(40..<100))
            #expect(received.allSatisfy { $0.value == "\($0.offset)" })

            try consumer.commitAsync([places[0]: 5])
            try consumer.unassign()
            #expect(consumer.assignment.isEmpty)
            #expect(consumer.close(deadline: hangLimit))
        }
    }

    @Test func `a second member gets partitions only after the first was asked to give them up`() async throws {
        try await TestCluster.run(partitions: 2) { cluster, topic in
            let group = UUID().uuidString
            let first = try cluster.consumer(group: group)
            try first.subscribe(topics: [topic])
            guard case .assigned(let all) = try first.nextRebalance() else {
                Issue.record("the first rebalance is an assignment")
                return
            }
            #expect(all.count == 2)
            try first.assign(all.all(at: 0))

            let second = try cluster.consumer(group: group)
            try second.subscribe(topics: [topic])
            #expect(try first.nextRebalance() == .revoked(all, lost: false))
            try first.unassign()

            var owned: [[TopicPartition]] = [[], []]
            try ContinuousClock.wait(for: "a partition for each member") {
                for (index, member) in [first, second].enumerated() {
                    switch member.poll(milliseconds: 50) {
                    case .rebalance(.assigned(let places)):
                        owned[index] = places
                        try member.assign(places.all(at: 0))
                    case .rebalance(.revoked):
                        owned[index] = []
                        try member.unassign()
                    case .failure(let error, _): throw error
                    default: break
                    }
                }
                return owned.allSatisfy { $0.count == 1 } ? () : nil
            }
            #expect(Set(owned.joined()) == Set(all))

            #expect(first.close(deadline: hangLimit))
            #expect(second.close(deadline: hangLimit))
        }
    }

    @Test func `a member that does not poll for too long loses its partitions and is told so`() async throws {
        try await TestCluster.run { cluster, topic in
            let consumer = try cluster.consumer {
                $0["session.timeout.ms"] = "6000"
                $0["max.poll.interval.ms"] = "6000"
            }
            try consumer.subscribe(topics: [topic])
            guard case .assigned(let places) = try consumer.nextRebalance() else {
                Issue.record("the first rebalance is an assignment")
                return
            }
            try consumer.assign(places.all(at: 0))

            try ContinuousClock.wait(for: "the loss") { () -> Void? in
                Thread.sleep(forTimeInterval: 0.1)
                return consumer.isAssignmentLost ? () : nil
            }
            let failure = try consumer.nextFailure()
            #expect(failure.error.name == "_MAX_POLL_EXCEEDED")
            #expect(!failure.error.isFatal)
            #expect(try consumer.nextRebalance() == .revoked(places, lost: true))
            try consumer.unassign()
            #expect(!consumer.isAssignmentLost)
            #expect(try consumer.nextRebalance() == .assigned(places))
            #expect(consumer.close(deadline: hangLimit))
        }
    }

    @Test func `an offset out of range is a failure that names the partition, and the others go on`() async throws {
        try await TestCluster.run(partitions: 2) { cluster, topic in
            try cluster.fill(topic, partitions: 0..<2, count: 10)
            let consumer = try cluster.consumer()
            let gone = TopicPartition(topic: topic, partition: 0)
            let sound = TopicPartition(topic: topic, partition: 1)
            try consumer.assign([gone: 1000])
            let failure = try consumer.nextFailure()
            #expect(failure.place == gone)
            #expect(failure.error.name == "_AUTO_OFFSET_RESET")
            #expect(failure.error.reason.contains("\(topic) [0]"))
            #expect(!failure.error.isRetriable)

            try consumer.assign([sound: 0])
            #expect(try consumer.records(10).map(\.offset) == Array(0..<10))
        }
    }

    @Test func `records that were fetched before a new assignment are not handed out behind it`() async throws {
        try await TestCluster.run(partitions: 2) { cluster, topic in
            try cluster.fill(topic, partitions: 0..<2, count: 3000)
            let consumer = try cluster.consumer()
            let places = (0..<2).map { TopicPartition(topic: topic, partition: $0) }
            for _ in 0..<20 {
                // More have been taken out of the queue than these when the partitions change.
                try consumer.assign(places.all(at: 0))
                _ = try consumer.records(10)
                try consumer.assign([places[0]: 2000])
                let received = try consumer.records(1000)
                #expect(received.map(\.offset) == Array(2000..<3000))
                #expect(received.allSatisfy { $0.place == places[0] })
                try consumer.assign(places.all(at: 0))
                _ = try consumer.records(10)
                try consumer.unassign()
                guard case .nothing = consumer.poll(milliseconds: 20) else {
                    Issue.record("something came without an assignment")
                    return
                }
            }
        }
    }

    @Test func `wake ends a poll at once`() async throws {
        try await TestCluster.run { cluster, topic in
            let consumer = try cluster.consumer()
            try consumer.assign([TopicPartition(topic: topic, partition: 0): 0])
            for attempt in 1...3 {
                let start = ContinuousClock.now
                Thread.detachNewThread {
                    // Time for the poll to begin; a wake that comes before it ends it all the same.
                    Thread.sleep(forTimeInterval: 0.05)
                    consumer.wake()
                }
                guard case .nothing = consumer.poll(milliseconds: 600_000) else {
                    Issue.record("a poll that is woken brings nothing")
                    return
                }
                #expect(ContinuousClock.now - start < hangLimit, "attempt \(attempt)")
            }
            // Woken beforehand, the next poll does not wait either.
            consumer.wake()
            let start = ContinuousClock.now
            guard case .nothing = consumer.poll(milliseconds: 600_000) else {
                Issue.record("a poll that is woken brings nothing")
                return
            }
            #expect(ContinuousClock.now - start < hangLimit)
        }
    }

    @Test func `subscribing to a topic that does not exist fails with its name`() async throws {
        try await TestCluster.run { cluster, _ in
            let topic = cluster.missingTopic()
            let consumer = try cluster.consumer()
            try consumer.subscribe(topics: [topic])
            let failure = try consumer.nextFailure()
            #expect(failure.error.name == "UNKNOWN_TOPIC_OR_PART")
            #expect(failure.place == nil)
            #expect(failure.error.reason.contains(topic))
            #expect(consumer.close(deadline: hangLimit))
        }
    }

    @Test func `closing is bounded when the brokers are away, and wake after it does no harm`() async throws {
        try await onThread {
            let consumer = try KafkaConsumer(settings: .consumer(bootstrapServers: "127.0.0.1:1", group: "g"))
            try consumer.subscribe(topics: ["trades"])
            _ = consumer.poll(milliseconds: 200)
            let start = ContinuousClock.now
            consumer.close(deadline: .seconds(2))
            #expect(ContinuousClock.now - start < hangLimit)
            consumer.wake()
        }
    }

    @Test func `closing without any time gives up at once and leaves the rest behind`() async throws {
        try await TestCluster.run { cluster, topic in
            let consumer = try cluster.consumer()
            try consumer.subscribe(topics: [topic])
            _ = try consumer.nextRebalance()
            let start = ContinuousClock.now
            consumer.close(deadline: .zero)
            #expect(ContinuousClock.now - start < hangLimit)
        }
    }

    @Test(.enabled(if: TestCluster.realServers != nil, "the embedded cluster knows no static membership"))
    func `a member whose name another one takes fails for good`() async throws {
        try await TestCluster.run { cluster, topic in
            let group = UUID().uuidString
            func member() throws -> KafkaConsumer {
                let member = try cluster.consumer(group: group) { $0["group.instance.id"] = "one" }
                try member.subscribe(topics: [topic])
                guard case .assigned(let places) = try member.nextRebalance() else {
                    throw Timeout(waitedFor: "places")
                }
                try member.assign(places.all(at: 0))
                return member
            }
            let first = try member()
            let second = try member()
            let failure = try first.nextFailure()
            #expect(failure.error.isFatal)
            #expect(failure.error.name == "FENCED_INSTANCE_ID")
            #expect(first.fatalFailure == failure.error)
            first.close(deadline: hangLimit)
            second.close(deadline: hangLimit)
        }
    }
}
