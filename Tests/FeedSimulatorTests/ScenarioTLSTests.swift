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
            let tap = try WireTap(to: feed.address)
            let probe = FeedProbe(["AAPL"])
            try await withClient(tap.address, probe, configure: { $0.certificateAuthorityFile = authority }) { _ in
                try await eventually("the connection ends") { probe.closure != nil }
            }
            #expect(probe.closure?.cause == .connectionLost)
            #expect(probe.tradeCount == 100)
            // The last record promises more bytes than there are.
            let bytes = try await onThread { try tap.bytes() }
            var position = 0
            var records = 0
            func size() -> Int { 5 + Int(bytes[position + 3]) << 8 + Int(bytes[position + 4]) }
            while position + 5 <= bytes.count, position + size() <= bytes.count {
                position += size()
                records += 1
            }
            #expect(records > 5)
            #expect(position + 5 < bytes.count, "the stream ends with a whole record")
            #expect(bytes[position] == 23, "it is no record of data")
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
