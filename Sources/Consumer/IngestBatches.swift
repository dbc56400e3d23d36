import TradeModel

/// What a batch brings of each partition, on its way into `ingest_batch`: counts, and how long the trades took.
///
/// A record costs a few additions, a trade another 24 bytes: histograms are made when the moment of storing is known.
/// Nothing is allocated a record, once there is room for a full batch. One thread at a time.
struct IngestBatches {
    /// What became of a record.
    enum Fate {
        case stored(Moments)
        /// Stored, and rejected before: sent again by hand, so the time that it took says nothing of the way.
        case retried
        case rejected
        /// Stored before, and skipped.
        case resent
    }

    /// When a trade was where.
    struct Moments {
        let trade: Timestamp
        let toKafka: Timestamp
        let toConsumer: Timestamp
    }

    /// The batch's records of one partition.
    fileprivate struct Part {
        /// The row ids' bits above the offset: log and partition.
        let origin: Int64
        var firstOffset: Int64 = 0
        var nextOffset: Int64 = 0
        var retried = 0
        var rejected = 0
        var resent = 0
        var stored: [Moments] = []

        var isEmpty: Bool { stored.count + retried + rejected + resent == 0 }
    }

    /// One for each partition that ever came; they keep their memory.
    private var parts: [Part] = []
    /// That of the last record, which is mostly that of the next.
    private var current = 0
    private var histograms = [LatencyHistogram](repeating: LatencyHistogram(), count: hops.count)

    /// Counts a record.
    @inline(__always)
    mutating func note(_ fate: Fate, id: Int64, offset: Int64) {
        let origin = id >> 40
        if !parts.indices.contains(current) || parts[current].origin != origin { turn(to: origin) }
        if parts[current].isEmpty { parts[current].firstOffset = offset }
        parts[current].nextOffset = offset + 1
        switch fate {
        case .stored(let moments): parts[current].stored.append(moments)
        case .retried: parts[current].retried += 1
        case .rejected: parts[current].rejected += 1
        case .resent: parts[current].resent += 1
        }
    }

    private mutating func turn(to origin: Int64) {
        if let place = parts.firstIndex(where: { $0.origin == origin }) {
            current = place
        } else {
            current = parts.count
            parts.append(Part(origin: origin))
        }
    }

    /// Forgets everything, and keeps the memory.
    mutating func reset() {
        for place in parts.indices {
            parts[place].retried = 0
            parts[place].rejected = 0
            parts[place].resent = 0
            parts[place].stored.removeAll(keepingCapacity: true)
        }
    }

    /// The expression that writes one row a partition; nil when there is nothing to write.
    /// - Parameter toDB: when the rows are handed to the database.
    mutating func call(toDB: Timestamp) -> String? {
        var sql = ByteWriter(capacity: 4096)
        for place in parts.indices where !parts[place].isEmpty {
            sql.write(sql.count == 0 ? "store_ingest_batches('[" : ",\n")
            measure(parts[place].stored, toDB)
            sql.write(parts[place], toDB, histograms)
        }
        guard sql.count > 0 else { return nil }
        sql.write("]')")
        return sql.string
    }

    /// Fills the histograms, one a hop.
    private mutating func measure(_ stored: [Moments], _ toDB: Timestamp) {
        for hop in histograms.indices { histograms[hop].reset() }
        for moments in stored {
            histograms[0].record(microseconds: moments.toKafka.microseconds - moments.trade.microseconds)
            histograms[1].record(microseconds: moments.toConsumer.microseconds - moments.toKafka.microseconds)
            histograms[2].record(microseconds: toDB.microseconds - moments.toConsumer.microseconds)
            histograms[3].record(microseconds: toDB.microseconds - moments.trade.microseconds)
        }
    }

    fileprivate static let hops = ["feed_to_kafka", "kafka_to_consumer", "consumer_to_db", "feed_to_db"]
}

extension ByteWriter {
    /// A row of `ingest_batch` as JSON: numbers, and a timestamp that needs no escape.
    fileprivate mutating func write(
        _ part: IngestBatches.Part, _ toDB: Timestamp, _ histograms: [LatencyHistogram]
    ) {
        write("{\"log_id\":")
        write(part.origin >> 11)
        write("kafka_partition", part.origin & 0x7FF)
        write("first_offset", part.firstOffset)
        write("next_offset", part.nextOffset)
        write(",\"committed_at\":\"")
        write(toDB)
        write("\"")
        write("row_count", Int64(part.stored.count))
        write("retried", Int64(part.retried))
        write("rejected", Int64(part.rejected))
        write("resent", Int64(part.resent))
        for (hop, histogram) in zip(IngestBatches.hops, histograms) {
            write("\(hop)_negative", histogram.negativeCount)
            write("\(hop)_sum", histogram.sum)
            if let minimum = histogram.minimum { write("\(hop)_min", minimum) }
            if let maximum = histogram.maximum { write("\(hop)_max", maximum) }
            write("\(hop)_buckets", histogram) { bucket, _ in Int64(bucket) }
            write("\(hop)_counts", histogram) { _, count in count }
        }
        write("}")
    }

    private mutating func write(_ name: String, _ number: Int64) {
        begin(name)
        write(number)
    }

    private mutating func write(_ name: String, _ histogram: LatencyHistogram, _ element: (Int, Int64) -> Int64) {
        begin(name)
        write("[")
        var isFirst = true
        for (bucket, count) in histogram.buckets {
            if !isFirst { write(",") }
            isFirst = false
            write(element(bucket, count))
        }
        write("]")
    }

    private mutating func begin(_ name: String) {
        write(",\"")
        write(name)
        write("\":")
    }
}
