/// Properties for librdkafka under its own names, in the order in which they are set; a later one may override.
package struct KafkaSettings: Sendable, CustomStringConvertible {
    private var properties: [(key: String, value: String)] = []

    /// No property at all: librdkafka's own defaults.
    package init() {}

    /// The value of one property; setting it adds or replaces it, and `nil` leaves librdkafka its default.
    package subscript(key: String) -> String? {
        get { properties.last { $0.key == key }?.value }
        set {
            let index = properties.firstIndex { $0.key == key }
            switch (index, newValue) {
            case (let index?, let value?): properties[index].value = value
            case (let index?, nil): properties.remove(at: index)
            case (nil, let value?): properties.append((key, value))
            case (nil, nil): break
            }
        }
    }

    /// All properties, secrets included.
    package var all: [(key: String, value: String)] { properties }

    /// `key=value` pairs, fit for a log: the values of secrets are hidden.
    package var description: String {
        properties.map { "\($0.key)=\(Self.isSecret($0.key) ? "***" : $0.value)" }.joined(separator: " ")
    }

    /// Whether a property's value must never be shown.
    package static func isSecret(_ key: String) -> Bool {
        key.contains("password") || key.contains("secret") || key == "ssl.key.pem"
            || key.hasPrefix("sasl.oauthbearer.")
    }
}

extension KafkaSettings {
    private static func common(_ bootstrapServers: String) -> KafkaSettings {
        KafkaSettings().adding([
            ("bootstrap.servers", bootstrapServers),
            ("client.id", "tickstream"),
            ("socket.nagle.disable", "true"),
            ("socket.keepalive.enable", "true"),
            // A restarted broker is found again within a second, not within librdkafka's ten.
            ("reconnect.backoff.max.ms", "1000"),
        ])
    }

    /// For asking a cluster and creating topics.
    package static func client(bootstrapServers: String) -> KafkaSettings {
        common(bootstrapServers).adding([
            // A misspelt topic is an error, not a new topic. A consumer's default is the same.
            ("allow.auto.create.topics", "false")
        ])
    }

    /// For a producer that loses, repeats and reorders nothing while it lives.
    ///
    /// A record waits for its broker without limit: time-outs would only turn an outage into records of which nobody
    /// knows whether they are stored. What bounds it is the queue, which fills up and says so. A batch that is refused for
    /// good ends the client instead of leaving a hole: what is sent again then still comes in order.
    package static func producer(bootstrapServers: String) -> KafkaSettings {
        client(bootstrapServers: bootstrapServers).adding([
            ("enable.idempotence", "true"),
            ("enable.gapless.guarantee", "true"),
            ("acks", "all"),
            ("message.timeout.ms", "0"),
            // The same partition for a key as Kafka's own clients choose.
            ("partitioner", "murmur2_random"),
            // What comes while a request is on its way goes with the next; alone it need not wait for more.
            ("linger.ms", "0"),
            ("compression.codec", "none"),
            ("queue.buffering.max.messages", "500000"),
            ("queue.buffering.max.kbytes", "131072"),
        ])
    }

    /// How many records a consumer fetches ahead, over all its partitions.
    package static let fetchedAhead = 50_000

    /// For a member of a consumer group whose positions live in a database: it is told where to begin, stores no
    /// position in Kafka by itself, and stops rather than begin elsewhere.
    package static func consumer(bootstrapServers: String, group: String) -> KafkaSettings {
        common(bootstrapServers).adding([
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
            ("isolation.level", "read_committed"),
            // The cooperative strategy is unsound in librdkafka 2.0.
            ("partition.assignment.strategy", "range"),
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "1500"),
            // Also how long the group waits for a member that does not come to a rebalance, although it is heard.
            ("max.poll.interval.ms", "60000"),
            // What an idle partition waits for; the embedded cluster sleeps all of it after an empty fetch.
            ("fetch.wait.max.ms", "20"),
            // What is fetched ahead: each record costs 400 bytes besides its own. See `fetchedCount`.
            ("queued.min.messages", "\(fetchedAhead)"),
            ("queued.max.messages.kbytes", "32768"),
            // What one partition brings at a time. What fits the processor's cache costs half the time of librdkafka's
            // megabyte; a record that is larger still comes.
            ("fetch.message.max.bytes", "262144"),
        ])
    }

    private func adding(_ more: [(key: String, value: String)]) -> KafkaSettings {
        var settings = self
        settings.properties += more
        return settings
    }
}
