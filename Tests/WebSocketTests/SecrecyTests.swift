import LocalServers
import Synchronization
import TestSupport
import Testing

@testable import WebSocket

@Suite(.timeLimit(.minutes(10)))
struct SecrecyTests {
    @Test(arguments: [
        ("GET /?token=s3cret HTTP/1.1\n", "GET /?token=… HTTP/1.1"), ("token=s3cret&a=token=x", "token=…&a=token=…"),
        ("a Token=s3cret", "a Token=…"), ("'/?a=1&token=s3cret'", "'/?a=1&token=…'"), ("nothing", "nothing"),
        ("token=", "token=…"), ("", ""),
    ])
    func `A token in a log line is replaced`(line: String, redacted: String) {
        #expect(LibwebsocketsLog.redacted(line) == redacted)
    }

    @Test func `No log line and no closure holds the token, whatever way a connection ends`() async throws {
        let lines = Mutex<[String]>([])
        LibwebsocketsLog.set(upTo: .info) { _, line in lines.withLock { $0.append(line) } }
        let peer = try PlainPeer { socket in
            let head = PlainPeer.readHead(socket)
            PlainPeer.write(socket, "nonsense \(head)")
        }
        defer { peer.stop() }
        var ends: [WebSocketClosure] = []
        let answers: [UpgradeResponse] = [
            .accept, .refuse(HTTPResponse(status: 401, text: "no")), .refuse(HTTPResponse(status: 503, text: "no")),
        ]
        for answer in answers {
            let server = ServerProbe(onUpgrade: { _ in answer }, onOpened: { $0.close(code: 1008, reason: "policy") })
            ends.append(
                try await withServer(.init(), server) { server in
                    try await closure(of: "ws://127.0.0.1:\(server.port)/p4th?token=s3cret")
                })
        }
        ends.append(try await closure(of: "ws://127.0.0.1:\(peer.port)/p4th?token=s3cret"))
        ends.append(try await closure(of: "ws://127.0.0.1:\(try FreePort.find())/p4th?token=s3cret"))
        ends.append(
            try await closure(
                of: "ws://no-such-host.invalid/p4th?token=s3cret", configure: { $0.handshakeTimeout = hangLimit }))
        // This peer waits for a request's end, which a TLS handshake never holds.
        ends.append(
            try await closure(
                of: "wss://127.0.0.1:\(peer.port)/p4th?token=s3cret",
                configure: { $0.handshakeTimeout = .milliseconds(300) }))
        for end in ends {
            #expect(!"\(end)".contains("s3cret") && !"\(end)".contains("p4th"))
            #expect("\(end)".hasPrefix(end.endpoint))
        }
        #expect(!lines.withLock { $0 }.isEmpty, "the log is heard at all")
        #expect(!lines.withLock { $0 }.contains { $0.contains("s3cret") })
    }
}
