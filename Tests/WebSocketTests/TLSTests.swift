import Foundation
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

@Suite(.enabled(if: Certificate.canBeMade, "needs the openssl command"), .serialized, .timeLimit(.minutes(10)))
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

    @Test func `A message of many TLS records comes back as it was sent`() async throws {
        let certificate = try await Certificate.selfSigned("localhost")
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

    /// Why a server with a certificate is refused by a client that trusts the authority, and connects to a host by this name.
    private func refusal(
        of certificate: Certificate, trusting authority: Certificate?, host: String = "localhost"
    ) async throws -> String {
        var text = ""
        try await withSecureServer(certificate) { server in
            let end = try await closure(
                of: "wss://\(host):\(server.port)/?token=s3cret",
                configure: { $0.certificateAuthorityFile = authority?.file })
            guard case .tlsFailed(let reason) = end.cause else { throw TestFailure("\(end)") }
            #expect(end.endpoint == "wss://\(host):\(server.port)")
            #expect(!end.wasOpen)
            text = reason
        }
        return text
    }

    @Test func `A self-signed certificate is refused, with what to do`() async throws {
        let text = try await refusal(of: Certificate.selfSigned("localhost"), trusting: nil)
        #expect(text.contains("self-signed certificate;"))
        #expect(text.contains("put that one's certificate into the configured file of authorities"))
    }

    @Test func `A certificate of an unknown authority is refused, with what to do`() async throws {
        let certificate = try await Certificate.signed("localhost", by: Certificate.selfSigned("authority"))
        let text = try await refusal(of: certificate, trusting: Certificate.selfSigned("another"))
        #expect(text.contains("unable to get local issuer certificate;"))
        #expect(text.contains("put that one's certificate into the configured file of authorities"))
    }

    @Test(arguments: [("localhost", "elsewhere.example"), ("localhost", "IP:127.0.0.1"), ("127.0.0.1", "localhost")])
    func `A certificate for another host is refused, with what to do`(host: String, name: String) async throws {
        let authority = try await Certificate.selfSigned("authority")
        let text = try await refusal(
            of: Certificate.signed(name, by: authority), trusting: authority, host: host)
        #expect(text.contains(host == "localhost" ? "hostname mismatch;" : "IP address mismatch;"))
        #expect(text.contains("connect by a name that stands in the certificate"))
    }

    @Test(arguments: [(-3, -2, "certificate has expired;"), (2, 3, "certificate is not yet valid;")])
    func `A certificate out of its time is refused, with what to do`(from: Int, until: Int, reason: String) async throws
    {
        let authority = try await Certificate.selfSigned("authority")
        let certificate = try await Certificate.signed("localhost", by: authority, from: from, until: until)
        let text = try await refusal(of: certificate, trusting: authority)
        #expect(text.contains(reason))
        #expect(text.contains("check this machine's clock"))
    }

    @Test(arguments: ["localhost", "127.0.0.1"])
    func `A certificate of a trusted authority for the host is accepted`(host: String) async throws {
        let authority = try await Certificate.selfSigned("authority")
        let name = host == "localhost" ? host : "IP:\(host)"
        try await withSecureServer(Certificate.signed(name, by: authority)) { server in
            try await withClient(
                "wss://\(host):\(server.port)/", configure: { $0.certificateAuthorityFile = authority.file }
            ) { _, probe in
                try await eventually("the connection opens") { !probe.log.isEmpty }
                #expect(probe.log == [.opened])
            }
        }
    }

    @Test func `The system's authorities are trusted, and those of the file besides`() async {
        await #expect(processExitsWith: .success) {
            let system = try await Certificate.selfSigned("authority")
            let own = try await Certificate.selfSigned("authority")
            setenv("SSL_CERT_FILE", system.file, 1)
            for (authority, file) in [(system, nil), (system, own.file), (own, own.file)] {
                let certificate = try await Certificate.signed("localhost", by: authority)
                var configuration = WebSocketServerConfiguration()
                configuration.certificateFile = certificate.file
                configuration.privateKeyFile = certificate.keyFile
                try await withServer(configuration) { server in
                    try await withClient(
                        "wss://localhost:\(server.port)/", configure: { $0.certificateAuthorityFile = file }
                    ) { _, probe in
                        try await eventually("the attempt is over") { !probe.log.isEmpty }
                        guard probe.log == [.opened] else { throw TestFailure("\(probe.log)") }
                    }
                }
            }
        }
    }

    @Test func `The client names the host in the handshake, offers HTTP 1.1 alone and shows no path`() async throws {
        let hello = Mutex<[UInt8]>([])
        let peer = try PlainPeer { socket in
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(socket, &buffer, buffer.count, 0)
            hello.withLock { $0 = Array(buffer[..<max(0, count)]) }
        }
        defer { peer.stop() }
        _ = try await closure(of: "wss://localhost:\(peer.port)/p4th?token=s3cret")
        let text = hello.withLock { String(decoding: $0.map { $0 < 0x80 ? $0 : 0x2E }, as: UTF8.self) }
        #expect(text.contains("localhost"))
        #expect(text.contains("\u{8}http/1.1"))
        #expect(!text.contains("h2") && !text.contains("s3cret") && !text.contains("p4th"))
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "", "\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}\u{28}"])
    func `A server that does not speak TLS, or will not, is a TLS failure`(answer: String) async throws {
        let peer = try PlainPeer { socket in
            var buffer = [UInt8](repeating: 0, count: 4096)
            _ = recv(socket, &buffer, buffer.count, 0)
            PlainPeer.write(socket, answer)
        }
        defer { peer.stop() }
        let end = try await closure(of: "wss://localhost:\(peer.port)/")
        guard case .tlsFailed(let text) = end.cause else { throw TestFailure("\(end)") }
        #expect(text.contains("check that the server speaks TLS on this port"))
    }

    @Test func `A reset within the TLS handshake is a TLS failure`() async throws {
        let peer = try PlainPeer { socket in
            var byte: UInt8 = 0
            recv(socket, &byte, 1, 0)
            PlainPeer.resetAtEnd(socket)
        }
        defer { peer.stop() }
        let end = try await closure(of: "wss://localhost:\(peer.port)/")
        guard case .tlsFailed = end.cause else { throw TestFailure("\(end)") }
    }

    @Test func `A TLS handshake that comes too slowly runs into the deadline`() async throws {
        let certificate = try await Certificate.selfSigned("localhost")
        try await withSecureServer(certificate) { server in
            let relay = try Relay(to: server.port, .drip(microseconds: 5_000))
            defer { relay.stop() }
            let end = try await closure(
                of: "wss://localhost:\(relay.port)/",
                configure: {
                    $0.certificateAuthorityFile = certificate.file
                    $0.handshakeTimeout = .milliseconds(500)
                })
            #expect(end.cause == .handshakeTimedOut(.milliseconds(500)))
        }
    }

    @Test func `A TLS stream that comes a byte a segment is read all the same`() async throws {
        let certificate = try await Certificate.selfSigned("localhost")
        try await withSecureServer(certificate) { server in
            let relay = try Relay(to: server.port, .drip(microseconds: 0))
            defer { relay.stop() }
            let text = String(repeating: "x", count: 3_000)
            let probe = ClientProbe(onOpened: { client in #expect(client.send(text)) })
            try await withClient(
                "wss://localhost:\(relay.port)/", probe,
                configure: { $0.certificateAuthorityFile = certificate.file }
            ) { _, probe in
                try await eventually("the echo comes") { probe.messages == [Array(text.utf8)] }
            }
        }
    }

    /// The end of stream without TLS's own word of it is an error to OpenSSL 3, and a lost connection to the program.
    @Test(arguments: [Relay.Mode.end, .reset])
    func `A TLS connection that breaks in mid-stream is lost, and the next one works`(mode: Relay.Mode) async throws {
        let certificate = try await Certificate.selfSigned("localhost")
        try await withSecureServer(certificate) { server in
            let relay = try Relay(to: server.port)
            defer { relay.stop() }
            let probe = ClientProbe(onOpened: { client in #expect(client.send("hello")) })
            try await withClient(
                "wss://localhost:\(relay.port)/", probe,
                configure: { $0.certificateAuthorityFile = certificate.file }
            ) { client, probe in
                try await eventually("the first echo comes") { probe.messages.count == 1 }
                relay.set(mode)
                try await eventually("the connection ends") { probe.closures.count == 1 }
                relay.set(.forward)
                probe.perform(client) { $0.connect() }
                try await eventually("the second echo comes") { probe.messages.count == 2 }
            }
            #expect(probe.closures.map(\.cause) == [.connectionLost, .stopped])
            #expect(probe.closures.first?.wasOpen == true)
        }
    }

    @Test func `A TLS connection that goes half-open in mid-stream is given up for silence`() async throws {
        let certificate = try await Certificate.selfSigned("localhost")
        try await withSecureServer(certificate) { server in
            let relay = try Relay(to: server.port)
            defer { relay.stop() }
            let probe = ClientProbe(
                onOpened: { client in #expect(client.send("hello")) }, onMessage: { _, _ in relay.set(.hold) })
            let end = try await closure(
                of: "wss://localhost:\(relay.port)/", probe,
                configure: {
                    $0.certificateAuthorityFile = certificate.file
                    $0.idleTimeout = .seconds(2)
                })
            #expect(end.cause == .idle(.seconds(2)))
            #expect(probe.messages.count == 1)
        }
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
