import Kafka
import TestSupport
import Testing

@Suite struct KafkaSettingsTests {
    @Test func `the description hides the values of secrets and shows the others`() {
        var settings = KafkaSettings.client(bootstrapServers: "broker:9092")
        let secrets = [
            "sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password", "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
        ]
        for key in secrets { settings[key] = "hunter2" }

        #expect(!settings.description.contains("hunter2"))
        #expect(settings.description.contains("bootstrap.servers=broker:9092"))
        for key in secrets { #expect(settings.description.contains("\(key)=***")) }
        #expect(settings["sasl.password"] == "hunter2")
    }

    @Test func `a property can be overridden in its place and taken out`() {
        var settings = KafkaSettings.producer(bootstrapServers: "broker:9092")
        let keys = settings.all.map(\.key)
        settings["linger.ms"] = "50"
        #expect(settings["linger.ms"] == "50")
        #expect(settings.all.map(\.key) == keys)

        settings["linger.ms"] = nil
        #expect(settings["linger.ms"] == nil)
        #expect(settings.all.count == keys.count - 1)
    }

    @Test func `librdkafka works with the defaults of every use without a word`() async throws {
        try await TestCluster.run { cluster, topic in
            let log = Journal<String>()
            let events = KafkaEvents(log: { level, facility, message in
                if level != .debug && level != .info { log.add("\(facility): \(message)") }
            })
            let clients: [any KafkaCluster] = [
                try KafkaClient(settings: .client(bootstrapServers: cluster.servers), events: events),
                try cluster.producer(events), try cluster.consumer(events),
            ]
            for client in clients { #expect(try client.partitionCount(of: topic, timeout: hangLimit) == 1) }
            #expect(log.entries == [])
        }
    }

    @Test func `a wrong property gives an error that names it`() {
        var settings = KafkaSettings.client(bootstrapServers: "127.0.0.1:1")
        settings["no.such.property"] = "1"
        let unknown = #expect(throws: KafkaError.self) { try KafkaClient(settings: settings) }
        #expect(unknown?.reason.contains("no.such.property") == true)
        #expect(unknown?.isRetriable == false)

        settings["no.such.property"] = nil
        settings["acks"] = "many"
        let invalid = #expect(throws: KafkaError.self) { try KafkaClient(settings: settings) }
        #expect(invalid?.reason.contains("acks") == true)
    }

    @Test func `properties that contradict each other give an error that says so`() {
        var settings = KafkaSettings.producer(bootstrapServers: "127.0.0.1:1")
        settings["acks"] = "1"
        let error = #expect(throws: KafkaError.self) { try KafkaProducer(settings: settings) }
        #expect(error?.reason.contains("acks") == true)
    }

    @Test func `an error about a secret does not quote it`() {
        var settings = KafkaSettings.client(bootstrapServers: "127.0.0.1:1")
        settings["security.protocol"] = "ssl"
        settings["ssl.key.pem"] = "hunter2"
        let error = #expect(throws: KafkaError.self) { try KafkaClient(settings: settings) }
        #expect(error?.reason.contains("ssl.key.pem") == true)
        #expect(error?.description.contains("hunter2") == false)
    }

    @Test func `a consumer without a group is refused`() {
        let settings = KafkaSettings.client(bootstrapServers: "127.0.0.1:1")
        let error = #expect(throws: KafkaError.self) { try KafkaConsumer(settings: settings) }
        #expect(error?.reason.contains("group.id") == true)
    }
}
