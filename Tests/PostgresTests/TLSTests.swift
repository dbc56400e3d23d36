import Foundation
import LocalServers
import Postgres
import TestSupport
import Testing

/// A server with certificates of an authority of our own, for localhost.
private struct TLSServer {
    let server: PostgresServer
    let folder: TemporaryDirectory
    static let password = "hunter2secret"
    private static let scenarios = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../Scenarios/certificates.sh").standardizedFileURL.path

    init() async throws {
        folder = try TemporaryDirectory(prefix: "tickstream-tls")
        try await ChildProcess.run("sh", [Self.scenarios, folder.path])
        for name in ["good", "expired"] where geteuid() == 0 {
            // The server wants its keys to itself.
            try FileManager.default.setAttributes(
                [.ownerAccountName: "postgres"], ofItemAtPath: "\(folder.path)/\(name).key")
        }
        server = try PostgresServer(durability: .disposable)
        try await server.start()
        try await onThread { [self] in
            var connection = try connect()
            try connection.execute("CREATE ROLE guest LOGIN PASSWORD '\(Self.password)'")
        }
    }

    /// Has new connections see this certificate.
    func show(_ certificate: String) throws {
        let file = "\(folder.path)/\(certificate).pem"
        for (name, value) in [
            ("ssl_cert_file", file), ("ssl_key_file", "\(folder.path)/\(certificate).key"), ("ssl", "on"),
        ] {
            var connection = try connect()
            try connection.execute("ALTER SYSTEM SET \(name) = '\(value)'")
        }
        var connection = try connect()
        try connection.execute("SELECT pg_reload_conf()")
        try eventually("the server has a new certificate") {
            var new = try connect()
            return try new.query("SELECT current_setting('ssl_cert_file') = '\(file)' AND current_setting('ssl')::bool")
                .bool(0, 0) == true
        }
    }

    /// Connects without TLS, as the superuser.
    private func connect() throws -> PostgresConnection {
        try PostgresConnection(
            PostgresConfiguration("\(server.connectionString())&sslmode=disable", applicationName: "tests"))
    }

    /// Connects as one does over a network, to the host that is to be in the certificate.
    func connect(host: String, authority: String) throws -> PostgresConnection {
        try PostgresConnection(
            PostgresConfiguration(
                "host=\(host) hostaddr=127.0.0.1 port=\(server.port) user=guest password=\(Self.password) "
                    + "dbname=postgres sslmode=verify-full sslrootcert=\(folder.path)/\(authority).pem",
                applicationName: "tests"))
    }
}

@Suite(.timeLimit(.minutes(10))) struct `A connection with TLS` {
    @Test func `wants authority, host and date of the certificate to be right, and says what is wrong`() async throws {
        let tls = try await TLSServer()
        @Sendable func refusal(host: String, authority: String) throws -> PostgresError {
            try failure { _ = try tls.connect(host: host, authority: authority) }
        }
        try await onThread {
            try tls.show("good")
            var connection = try tls.connect(host: "localhost", authority: "ca")
            let state = try connection.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            #expect(state.bool(0, 0) == true)

            let elsewhere = try refusal(host: "elsewhere.example", authority: "ca")
            #expect(elsewhere.message.contains(#"does not match host name "elsewhere.example""#))
            #expect(elsewhere.message.contains("Connect by a name that is in the server's certificate"))

            let unknown = try refusal(host: "localhost", authority: "self-signed")
            #expect(unknown.message.contains("certificate verify failed"))
            #expect(unknown.message.contains("check the server's certificate, this machine's clock, and sslrootcert"))

            let missing = try refusal(host: "localhost", authority: "absent")
            #expect(missing.message.contains("absent.pem\" does not exist"))

            try tls.show("expired")
            let expired = try refusal(host: "localhost", authority: "ca")
            #expect(expired.message.contains("certificate verify failed"))
            #expect(expired.message.contains("out of date"))

            for error in [elsewhere, unknown, missing, expired] {
                #expect(error.isConnectionLost)
                #expect(!error.debugDescription.contains(TLSServer.password))
            }
        }
    }

    @Test func `is refused where the server has none`() async throws {
        let error = try await onThread { try failure { _ = try connect("sslmode=verify-full sslrootcert=/dev/null") } }
        #expect(error.message.contains("server does not support SSL"))
    }
}
