import Foundation
import Kafka
import TestSupport
import Testing

@Suite struct KafkaClusterTests {
    @Test func `every client knows the cluster's id, the partitions and the watermarks`() async throws {
        try await TestCluster.run(partitions: 3) { cluster, topic in
            try cluster.fill(topic, partitions: 1..<2, count: 7)
            let client = try KafkaClient(settings: .client(bootstrapServers: cluster.servers))
            let clients: [any KafkaCluster] = [client, try cluster.producer(), try cluster.consumer()]
            let id = try client.clusterID(timeout: hangLimit)
            #expect(!id.isEmpty)
            for client in clients {
                #expect(try client.clusterID(timeout: hangLimit) == id)
                #expect(try client.partitionCount(of: topic, timeout: hangLimit) == 3)
                let metadata = try client.metadata(of: topic, timeout: hangLimit)
                #expect(metadata.leaderless == [])
                #expect(metadata.brokers == [cluster.servers])
                let place = TopicPartition(topic: topic, partition: 1)
                #expect(try client.watermarks(place, timeout: hangLimit) == (low: 0, high: 7))
            }
        }
    }

    @Test func `a topic that does not exist is named together with the servers, and not created`() async throws {
        try await TestCluster.run { cluster, _ in
            let topic = cluster.missingTopic()
            let client = try KafkaClient(settings: .client(bootstrapServers: cluster.servers))
            for _ in 1...2 {
                let error = #expect(throws: KafkaError.self) {
                    try client.partitionCount(of: topic, timeout: hangLimit)
                }
                #expect(error?.name == "UNKNOWN_TOPIC_OR_PART")
                #expect(error?.reason.contains(topic) == true)
                #expect(error?.reason.contains(cluster.servers) == true)
            }
        }
    }

    @Test func `an absent cluster gives errors in time that name its servers and may be tried again`() async throws {
        try await onThread {
            let log = Journal<KafkaLogLevel>()
            let events = KafkaEvents(log: { level, _, _ in log.add(level) })
            let client = try KafkaClient(settings: .client(bootstrapServers: "127.0.0.1:1"), events: events)
            let limit = Duration.milliseconds(200)
            let place = TopicPartition(topic: "trades", partition: 0)
            let errors = [
                #expect(throws: KafkaError.self) { try client.clusterID(timeout: limit) },
                #expect(throws: KafkaError.self) { try client.partitionCount(of: "trades", timeout: limit) },
                #expect(throws: KafkaError.self) { _ = try client.watermarks(place, timeout: limit) },
            ]
            for error in errors {
                #expect(error?.isRetriable == true)
                #expect(error?.isFatal == false)
                #expect(error?.reason.contains("127.0.0.1:1") == true)
            }
            try eventually("the client's log says so") { log.entries.contains(.error) }
        }
    }

    @Test(.enabled(if: TestCluster.realServers != nil, "the embedded cluster creates no topics by request"))
    func `creating a topic tells a new one from one that is there and explains a refusal`() async throws {
        try await TestCluster.run { cluster, topic in
            let client = try KafkaClient(settings: .client(bootstrapServers: cluster.servers))
            let admin = KafkaAdmin(client)
            #expect(try admin.createTopic(topic, partitions: 1, replication: 1) == .alreadyExists)

            let other = topic + "-other"
            #expect(
                try admin.createTopic(other, partitions: 4, replication: 1, config: ["retention.ms": "60000"])
                    == .created)
            #expect(try client.partitionCount(of: other, timeout: hangLimit) == 4)
            try admin.deleteTopic(other)

            let error = #expect(throws: KafkaError.self) {
                try admin.createTopic(other, partitions: 1, replication: 99)
            }
            #expect(error?.name == "INVALID_REPLICATION_FACTOR")
            #expect(error?.reason.contains(other) == true)
        }
    }

    @Test(.enabled(if: TestCluster.realServers == nil, "takes the embedded brokers down"))
    func `an embedded broker that is down keeps its port from others`() async throws {
        try await onThread {
            let cluster = try EmbeddedKafka()
            let servers = cluster.bootstrapServers
            let port = try #require(servers.split(separator: ":").last.flatMap { UInt16($0) })
            cluster.setBrokers(up: false)
            #expect(!canBind(port))
            cluster.setBrokers(up: true)
            let client = try KafkaClient(settings: .client(bootstrapServers: servers))
            #expect(try !client.clusterID(timeout: hangLimit).isEmpty)
        }
    }

    @Test func `the version is librdkafka's`() {
        #expect(kafkaLibraryVersion.split(separator: ".").count >= 3)
        #expect(Int(kafkaLibraryVersion.prefix { $0 != "." }) ?? 0 >= 2)
    }
}

/// Whether a socket that does not mean to listen can have the port, as one of an outgoing connection could.
private func canBind(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
    }
}
