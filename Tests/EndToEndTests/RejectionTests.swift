import LocalServers
import ProgramTestSupport
import Testing

extension EndToEnd {
    @Suite struct RejectionTests {
        /// What is written: a good trade, or a broken record with the reason that must stand in the table.
        private struct Sample {
            let value: [UInt8]?
            var key: String? = "AAPL"
            var reason: String?
        }

        private static func broken(_ text: String, _ reason: String) -> Sample {
            Sample(value: Array(text.utf8), reason: reason)
        }

        private static let digits39 = String(repeating: "9", count: 39)

        /// Each broken record stands between two good ones, which count from 1 as their sequence.
        private static let samples: [Sample] = {
            var badUTF8 = Array(TopicWriter.trade(symbol: "\"A?PL\"", sequence: 1).utf8)
            badUTF8[badUTF8.firstIndex(of: UInt8(ascii: "?"))!] = 0xff
            let refused = [
                broken("not JSON", "malformed_json"),
                broken(String(TopicWriter.trade(sequence: 1).dropLast(5)), "malformed_json"),
                broken("[1, 2]", "not_an_object"),
                broken(TopicWriter.trade(price: nil, sequence: 1), "missing_field"),
                broken(TopicWriter.trade(price: "\"317.775\"", sequence: 1), "wrong_type"),
                broken(TopicWriter.trade(price: "0", sequence: 1), "price_not_positive"),
                broken(TopicWriter.trade(price: "-1", sequence: 1), "price_not_positive"),
                broken(TopicWriter.trade(price: digits39, sequence: 1), "number_out_of_range"),
                broken(TopicWriter.trade(volume: "-0.5", sequence: 1), "volume_negative"),
                broken(TopicWriter.trade(symbol: "\"\"", sequence: 1), "bad_text"),
                broken(TopicWriter.trade(symbol: #""A\u0000B""#, sequence: 1), "bad_text"),
                Sample(value: badUTF8, reason: "malformed_json"),
                Sample(value: [], reason: "malformed_json"),
                Sample(value: nil, reason: "malformed_json"),
                Sample(value: [0x00, 0xff, 0x27, 0x5c], key: nil, reason: "malformed_json"),
            ]
            return refused.enumerated().flatMap { index, sample in
                [good(index + 1, key: index.isMultiple(of: 2) ? "AAPL" : nil), sample]
            } + [
                good(
                    refused.count + 1, price: String(digits39.dropLast()),
                    volume: "0.00000000000000000000000000000000000001"),
                good(refused.count + 2, price: "1e-7", volume: "0", conditions: #"["1", "é\u0000\n"]"#),
            ]
        }()

        private static func good(
            _ sequence: Int, key: String? = "AAPL", price: String = "317.775", volume: String = "200.50",
            conditions: String = "null"
        ) -> Sample {
            let text = TopicWriter.trade(
                price: price, volume: volume, conditions: conditions, sequence: sequence)
            return Sample(value: Array(text.utf8), key: key)
        }

        @Test(.timeLimit(.minutes(10)))
        func `broken records stand aside with reason and payload, the good ones around them are stored`() async throws {
            try await TestPipeline.run { pipeline in
                try await pipeline.startReaders()
                let writer = TopicWriter(bootstrap: pipeline.bootstrap, topic: pipeline.topic)
                try await writer.write(
                    Self.samples.map { TopicWriter.Record(key: $0.key, value: $0.value) }, partition: 3)
                // And one alone in its partition: a batch of nothing but a broken record moves the position on, too.
                try await writer.write([TopicWriter.Record(key: nil, value: Array("{}".utf8))], partition: 1)
                let total = try await pipeline.waitUntilStored()
                #expect(total == Self.samples.count + 1)
                await pipeline.stopAll()

                var expected = ["1|0|missing_field|\(pipeline.topic)|7b7d"]
                for (offset, sample) in Self.samples.enumerated() {
                    guard let reason = sample.reason else { continue }
                    let payload = sample.value?.map { byte in
                        (byte < 16 ? "0" : "") + String(byte, radix: 16)
                    }.joined()
                    expected.append("3|\(offset)|\(reason)|\(pipeline.topic)|\(payload ?? "null")")
                }
                let rejected = try await pipeline.database.column(
                    """
                    SELECT concat_ws('|', kafka_partition, kafka_offset, reason, topic,
                        coalesce(encode(payload, 'hex'), 'null'))
                    FROM rejected_trade ORDER BY kafka_partition, kafka_offset
                    """)
                #expect(rejected == expected)

                let good = try Self.samples.filter { $0.reason == nil }.map {
                    try TradeLine.of(JSONText($0.value ?? []))
                }
                _ = try await pipeline.expectStored(good)
                try await pipeline.expectSoundRows(rejected: expected.count)
                #expect(try await pipeline.expectEqualKPIsAtAllThresholds() == 0)
                try await expectThatComparisonsSeeAChange(pipeline.database)
            }
        }

        /// A comparison that can find nothing would prove nothing.
        private func expectThatComparisonsSeeAChange(_ database: Database) async throws {
            for table in ["trade_rollup_1s", "trade_rollup_1m", "trade_rollup_1h"] {
                // The value stays, the scale changes: the last digit.
                try await database.execute(
                    "UPDATE \(table) SET volume = volume::text::numeric + 0.\(String(repeating: "0", count: 40))")
            }
            for comparison in KPIComparison.all {
                let isOfVolumes = comparison.name.hasPrefix("trade_rollup") || comparison.name.hasPrefix("average")
                #expect(
                    try await comparison.differences(in: database).count == (isOfVolumes ? 2 : 0), "\(comparison.name)")
            }
        }
    }
}
