/// What the screen shows: what stays during a run, and what was read last. nil is what could not be read.
struct StatusSnapshot: Sendable, Equatable {
    /// What stays during a run.
    struct Facts: Sendable, Equatable {
        var broker = ""
        var feed = ""
        var topic = ""
        var symbols: [String] = []
        /// Complete commands, to be copied.
        var databaseCommand = ""
        var topicCommand = ""
        var logs = ""
    }

    /// A number that rises: records in the topic, or those that a reader has taken from it.
    struct Counter: Sendable, Equatable {
        var total: Int64?
        var perSecond: Double?
    }

    struct Price: Sendable, Equatable {
        var symbol: String
        var price: String?
        /// Seconds since that trade, by its own time.
        var age: Double?
    }

    struct KPIs: Sendable, Equatable {
        /// Of the last full bucket.
        var tradesPerSecond: Double
        var bucketSeconds: Int
        /// In the last complete window.
        var symbols: Int
        var expectedSymbols: Double
        var windowSeconds: Int
        /// Of the last minute's trades, in milliseconds.
        var medianProcessTime: Double?
        var rejected: Int64
    }

    /// Readers in the order of the screen.
    static let readers = ["consumer", "kpi-service"]
    /// Rejected records are counted no further than this.
    static let countedRejections: Int64 = 10_000

    var facts = Facts()
    var uptime = Duration.zero
    /// Each partition's end; empty when it could not be read.
    var topicEnds: [Int64] = []
    var topic = Counter()
    /// By reader: how many trades were taken from all logs there ever were.
    var taken: [String: Counter] = [:]
    /// By reader and partition: where it goes on in this topic.
    var positions: [String: [Int: Int64]]?
    var prices: [Price] = []
    var kpis: KPIs?

    /// How many records of each partition a reader has not taken yet.
    func lags(of reader: String) -> [Int64]? {
        guard let positions, !topicEnds.isEmpty else { return nil }
        return topicEnds.enumerated().map { max(0, $1 - (positions[reader]?[$0] ?? 0)) }
    }
}
