import ServiceKit
import TradeModel

/// What is counted of the connection to the feed, and how it stands.
struct FeedConnectionMetrics {
    let connections: Counter
    let disconnections: Counter
    let errors: Counter
    let connected: Gauge
    let subscribed: Gauge
    let refused: Gauge
    let keyContested: Gauge
    let paused: Gauge
    let lastMessage: Gauge
    let lastPing: Gauge

    /// - Parameter health: the program is ready when the feed is connected and a symbol is subscribed.
    init(_ metrics: MetricsRegistry, _ health: Health) {
        connections = metrics.counter("feed_connections_total", "Connections to the feed that were opened")
        disconnections = metrics.counter("feed_disconnections_total", "Connections and attempts that ended")
        errors = metrics.counter("feed_errors_total", "Error messages of the feed")
        connected = metrics.gauge("feed_connected", "Whether the feed is connected: 1 or 0")
        subscribed = metrics.gauge(
            "feed_symbols_subscribed", "Symbols asked for on the open connection, without those refused")
        refused = metrics.gauge("feed_symbols_refused", "Symbols that the feed called invalid, and that were dropped")
        keyContested = metrics.gauge(
            "feed_key_contested", "Whether another client seems to use the same API key: 1 or 0")
        paused = metrics.gauge("feed_paused", "Whether reading waits because the spool is full: 1 or 0")
        lastMessage = metrics.gauge(
            "feed_last_message_timestamp_seconds", "When the last message of the feed came; 0 before the first")
        lastPing = metrics.gauge(
            "feed_last_ping_timestamp_seconds", "When the last ping of the feed came; 0 before the first")
        health.require("feed") { [connected, subscribed] in
            if connected.value == 0 { return "not connected" }
            return subscribed.value == 0 ? "no symbol is subscribed: the feed refuses them all" : nil
        }
    }
}

extension Gauge {
    /// Sets a moment, in whole seconds since 1970.
    func set(_ time: Timestamp) { set(time.milliseconds / 1000) }
}
