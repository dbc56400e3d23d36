import Foundation
import TestSupport
import Testing
import WebSocket

@testable import FeedSimulator

@Suite(.timeLimit(.minutes(10)))
struct ScenarioTLSTests {
    @Test(arguments: [
        ("tls-wrong-host", "hostname mismatch"), ("tls-expired", "certificate has expired"),
        ("tls-self-signed", "self-signed certificate"),
    ])
    func `A certificate is one that a client refuses, and the next one is good`(
        name: String, fault: String
    ) async throws {
        try await withTLS(name) { feed, authority in
            let url = feed.address.replacingOccurrences(of: "127.0.0.1", with: "localhost")
            #expect(url.hasPrefix("wss://localhost:"))
            let refusing = FeedProbe(["AAPL"])
            try await withClient(url, refusing, configure: { $0.certificateAuthorityFile = authority }) { _ in
                try await eventually("the attempt ends") { refusing.closure != nil }
            }
            guard case .tlsFailed(let text) = refusing.closure?.cause else {
                return #expect(Bool(false), "\(String(describing: refusing.closure))")
            }
            #expect(text.contains(fault))
            let served = FeedProbe(["AAPL"])
            try await withClient(url, served, configure: { $0.certificateAuthorityFile = authority }) { _ in
                try await eventually("all trades come") { served.tradeCount == 500 }
            }
        }
    }

    @Test func `The stream drops in the middle of a TLS record`() async throws {
        try await withTLS("tls-drop-in-mid-stream") { feed, authority in
            let probe = FeedProbe(["AAPL"])
            try await withClient(feed.address, probe, configure: { $0.certificateAuthorityFile = authority }) { _ in
                try await eventually("the connection ends") { probe.closure != nil }
            }
            #expect(probe.closure?.cause == .connectionLost)
            #expect(probe.tradeCount == 100)
        }
        // On the wire: the last record promises more bytes than there are.
        try await withTLS("tls-drop-in-mid-stream") { feed, authority in
            let log = try await onThread { [address = feed.address] in
                let client = Process()
                client.executableURL = URL(fileURLWithPath: "/bin/sh")
                let port = address.split(separator: ":").last ?? ""
                let request =
                    "GET / HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                    + "Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n"
                // An unmasked key of zeros, which leaves the payload as it is.
                let frame = "\\201\\244\\000\\000\\000\\000{\"type\":\"subscribe\",\"symbol\":\"AAPL\"}"
                client.arguments = [
                    "-c",
                    "{ printf '\(request)\(frame)'; sleep 5; } | "
                        + "openssl s_client -connect 127.0.0.1:\(port) -CAfile '\(authority)' -msg -nocommands 2>&1",
                ]
                let output = Pipe()
                client.standardOutput = output
                client.standardError = FileHandle.nullDevice
                try client.run()
                let data = output.fileHandleForReading.readDataToEndOfFile()
                client.waitUntilExit()
                return String(decoding: data, as: UTF8.self)
            }
            #expect(log.contains("HTTP/1.1 101 "))
            #expect(log.contains("Verify return code: 0 (ok)"))
            #expect(log.contains("unexpected eof while reading"))
            #expect(!log.contains("close_notify"))
        }
    }

    @Test func `A client that speaks no TLS is told of`() async throws {
        try await withTLS("tls-expired") { feed, _ in
            try await onThread { [address = feed.address] in
                let client = try WireClient(address)
                client.request()
                while try client.receive() {}
            }
            try await eventually("the log says so") { feed.log.contains("TLS failed: http request") }
        }
    }

    /// Serves a scenario that lies beside its certificates; the body gets the authority that signed them as well.
    private func withTLS(_ name: String, _ body: (TestFeed, String) async throws -> Void) async throws {
        try await withDirectory { directory in
            let file = directory.appending(path: "\(name).scenario").path
            try FileManager.default.copyItem(atPath: ScenarioFiles.path(name), toPath: file)
            try await onThread {
                let script = Process()
                script.executableURL = ScenarioFiles.folder.appending(path: "certificates.sh")
                script.arguments = [directory.path]
                script.standardOutput = FileHandle.nullDevice
                script.standardError = FileHandle.nullDevice
                try script.run()
                script.waitUntilExit()
                try #require(script.terminationStatus == 0, "openssl makes no certificates")
            }
            let scenario = try Scenario(contentsOf: file, known: standardSymbols)
            try await withScenario(scenario, FeedOptions()) { feed in
                try await body(feed, directory.appending(path: "ca.pem").path)
            }
        }
    }
}
