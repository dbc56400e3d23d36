import DatabaseTestSupport
import Foundation
import LocalServers
import ProgramTestSupport
import TestSupport
import Testing

/// A primary with a standby that takes its place, both in the connection string.
@Suite(.timeLimit(.minutes(10))) struct FailoverTests {
    /// Where COMMIT does not wait for the standby, what that had not got is read from the topic once more.
    @Test(arguments: ["*", ""]) func `readers go on at the promoted standby`(synchronousStandbys: String) async throws {
        let primary = try PostgresServer(durability: .disposable)
        try await primary.start()
        let before = try await TestDatabase(in: primary)
        let standby = try PostgresServer(durability: .disposable)
        try await standby.follow(primary)
        try await standby.start()
        try before.execute("ALTER SYSTEM SET synchronous_standby_names = '\(synchronousStandbys)'")
        try before.execute("SELECT pg_reload_conf()")
        let after = try TestDatabase(before, in: standby)

        // The standby first: it must be passed over as long as it only reads.
        let url = before.url.replacing(
            "127.0.0.1:\(primary.port)", with: "127.0.0.1:\(standby.port),127.0.0.1:\(primary.port)")
        var run = try await ReadersRun()
        let readers = try RunningProgram.readers.map {
            try RunningProgram.reader($0, run.broker, "\(url)&target_session_attrs=read-write")
        }
        for _ in 1...2 { try await run.write() }
        try await run.waitUntilStored(readers, in: before)
        for _ in 1...2 { try await run.write() }
        await primary.kill()
        try await run.write()
        // Now no server writes: readers try again.
        for reader in readers {
            try await reader.wait(for: "a word about the database") { reader.log.contains("read-only") }
        }
        try await standby.promote()
        try await run.write()
        try await run.waitUntilStored(readers, in: after)
        for reader in readers { try await reader.stop() }
        try run.check(after)
    }
}
