import Foundation
import LocalServers
import TestSupport

/// A TLS server with a certificate that nobody trusts.
struct UntrustedServer {
    let url: String
    private let child: ChildProcess
    private let directory: TemporaryDirectory

    init() async throws {
        directory = try TemporaryDirectory(prefix: "tickstream-tls")
        let (certificate, key) = ("\(directory.path)/certificate.pem", "\(directory.path)/key.pem")
        try await ChildProcess.run(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                "-subj", "/CN=localhost", "-keyout", key, "-out", certificate,
            ])
        let port = try FreePort.find()
        child = try ChildProcess(
            "openssl",
            ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-www"], output: .discard)
        url = "wss://127.0.0.1:\(port)"
        try await eventually("the TLS server listens") { FreePort.accepts(port) }
    }
}
