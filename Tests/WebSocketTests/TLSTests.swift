import Foundation
import TestSupport
import Testing

@testable import WebSocket

@Suite(.enabled(if: Certificate.canBeMade, "needs the openssl command"), .timeLimit(.minutes(2)))
struct TLSTests {
    private func withSecureServer(
        _ certificate: Certificate, _ body: (WebSocketServer) async throws -> Void
    ) async throws {
        var configuration = WebSocketServerConfiguration()
        configuration.certificateFile = certificate.file
        configuration.privateKeyFile = certificate.keyFile
        let echo = ServerProbe(onMessage: { bytes, connection in connection.send(bytes) })
        try await withServer(configuration, echo, body)
    }

    @Test func `A self-signed certificate is refused, and the reason named`() async throws {
        let certificate = try Certificate(name: "localhost")
        try await withSecureServer(certificate) { server in
            let end = try await closure(of: "wss://localhost:\(server.port)/?token=s3cret")
            guard case .tlsFailed(let text) = end.cause else { return #expect(Bool(false), "\(end)") }
            #expect(text.contains("self-signed certificate"))
            #expect(end.endpoint == "wss://localhost:\(server.port)")
        }
    }

    @Test func `A certificate of a trusted authority is accepted`() async throws {
        let certificate = try Certificate(name: "localhost")
        try await withSecureServer(certificate) { server in
            let text = String(repeating: "x", count: 300_000)
            let probe = ClientProbe(onOpened: { client in #expect(client.send(text)) })
            try await withClient(
                "wss://localhost:\(server.port)/", probe,
                configure: { $0.certificateAuthorityFile = certificate.file }
            ) { _, probe in
                try await eventually("the echo comes") { !probe.messages.isEmpty || !probe.closures.isEmpty }
            }
            #expect(probe.messages == [Array(text.utf8)])
        }
    }

    @Test func `A certificate for another host is refused, and the reason named`() async throws {
        let certificate = try Certificate(name: "elsewhere.example")
        try await withSecureServer(certificate) { server in
            let end = try await closure(
                of: "wss://localhost:\(server.port)/", configure: { $0.certificateAuthorityFile = certificate.file })
            guard case .tlsFailed(let text) = end.cause else { return #expect(Bool(false), "\(end)") }
            #expect(text.contains("hostname mismatch"))
        }
    }

    @Test func `A server without TLS is a TLS failure`() async throws {
        let peer = try PlainPeer { socket in
            PlainPeer.write(socket, "HTTP/1.1 400 Bad Request\r\n\r\n")
            PlainPeer.drain(socket)
        }
        defer { peer.stop() }
        let end = try await closure(of: "wss://localhost:\(peer.port)/")
        guard case .tlsFailed = end.cause else { return #expect(Bool(false), "\(end)") }
    }

    @Test func `A file of authorities that cannot be read is an error at once`() throws {
        var configuration = WebSocketClientConfiguration(url: try WebSocketURL("wss://localhost/"))
        configuration.certificateAuthorityFile = "/nonexistent/ca.pem"
        let error = #expect(throws: WebSocketError.self) {
            try WebSocketClient(configuration, handler: ClientProbe())
        }
        #expect(error?.message.contains("/nonexistent/ca.pem") == true)
    }
}

/// A self-signed certificate in a directory that is removed with it.
private final class Certificate {
    static let canBeMade = (try? run(["version"])) == 0

    let file: String
    let keyFile: String
    private let directory: URL

    init(name: String) throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("certificate-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        file = directory.appendingPathComponent("certificate.pem").path
        keyFile = directory.appendingPathComponent("key.pem").path
        let status = try Self.run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
            "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name)", "-keyout", keyFile, "-out", file,
        ])
        try #require(status == 0)
    }

    deinit {
        try? FileManager.default.removeItem(at: directory)
    }

    private static func run(_ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }
}
