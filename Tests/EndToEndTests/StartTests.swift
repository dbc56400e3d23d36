import LocalServers
import TestSupport
import Testing

extension EndToEnd {
    @Suite struct StartTests {
        @Test(
            .enabled(if: Servers.kafkaHome == nil, "the second cluster is an embedded one: not with KAFKA_HOME"),
            .timeLimit(.minutes(10)))
        func `readers begin in an unknown cluster only when told to, and keep the rows of the other`() async throws {
            try await TestPipeline.run { first in
                try await first.startReaders()
                try await first.writeTrades(sequences: 1...5)
                #expect(try await first.waitUntilStored() == 5)
                // A topic that was never read before may be begun in any cluster.
                try await first.wait(for: "the consumer to claim the events") {
                    try await first.database.number(
                        """
                        SELECT count(*) FROM offset_ledger JOIN topic_log USING (log_id)
                        WHERE topic = '\(first.eventsTopic)'
                        """) > 0
                }
                await first.stopAll()

                try await TestPipeline.run(database: first.database) { second in
                    for reader in TestPipeline.readers {
                        let log = try await second.expectRefusal(by: reader)
                        // The consumer reads two topics, and says it of the one that it claims first.
                        #expect(log.contains(/has rows of topic (trades|feed-events) from another Kafka cluster/))
                        #expect(log.contains("--accept-new-cluster"))
                    }
                    #expect(try await second.database.number("SELECT count(DISTINCT cluster_id) FROM topic_log") == 1)

                    try await second.startReaders(["--accept-new-cluster"])
                    try await second.writeTrades(sequences: 6...10)
                    #expect(try await second.waitUntilStored() == 5)
                    await second.stopAll()

                    let rows = try await second.database.rows(
                        "SELECT dense_rank() OVER (ORDER BY id >> 51), sequence FROM trade_data_finhub ORDER BY id")
                    #expect(rows.map { $0[0] } == Array(repeating: "1", count: 5) + Array(repeating: "2", count: 5))
                    #expect(rows.map { $0[1] } == (1...10).map(String.init))
                    try await second.expectSoundRows()
                    #expect(try await second.expectEqualKPIs() == 0)
                }
            }
        }

        @Test(.timeLimit(.minutes(10)))
        func `readers refuse a database without the schema, and say what to do`() async throws {
            try await TestPipeline.run(migrated: false) { pipeline in
                for reader in TestPipeline.readers {
                    let log = try await pipeline.expectRefusal(by: reader)
                    #expect(log.contains("the database has no schema yet: run `consumer migrate`"))
                }
            }
        }

        @Test(.timeLimit(.minutes(10)))
        func `readers refuse an older and a newer schema, and say what to do`() async throws {
            try await TestPipeline.run { pipeline in
                let latest = try await pipeline.database.number("SELECT max(number) FROM schema_migration")
                let states = [
                    (
                        "DELETE FROM schema_migration WHERE number = \(latest)",
                        "older than the \(latest) that is needed: run `consumer migrate`"
                    ),
                    (
                        """
                        INSERT INTO schema_migration (number, name, checksum)
                            VALUES (\(latest), 'the latest', ''), (\(latest + 1), 'a later one', '')
                        """, "newer than the \(latest) that this program knows: update the program"
                    ),
                ]
                for (change, advice) in states {
                    try await pipeline.database.execute(change)
                    for reader in TestPipeline.readers {
                        let log = try await pipeline.expectRefusal(by: reader)
                        #expect(log.contains(advice))
                    }
                }
                #expect(try await pipeline.database.number("SELECT count(*) FROM offset_ledger") == 0)
            }
        }
    }
}

extension TestPipeline {
    /// Starts a reader and expects it to end by itself with exit status 1; returns its log.
    fileprivate func expectRefusal(by reader: String) async throws -> String {
        // Among the test's own processes its end would count as a death.
        let others = try PipelineProcesses(directory: "\(processes.directory)/refused")
        let process = try start(reader, among: others)
        let status = await process.child.wait(hangLimit)
        #expect(status == .exited(1), "\(reader): \(process.log)")
        await process.kill()
        return process.log
    }

    fileprivate func writeTrades(sequences: ClosedRange<Int>) async throws {
        try await TopicWriter(bootstrap: bootstrap, topic: topic).write(
            sequences.map { sequence in
                TopicWriter.Record(key: "AAPL", value: Array(TopicWriter.trade(sequence: sequence).utf8))
            }, partition: 2)
    }
}
