import Foundation
import TestSupport
import Testing

/// A certificate with its key in a directory that is removed with it; made by the `openssl` command.
final class Certificate: Sendable {
    static let canBeMade = (try? run(["version"])) == 0

    var file: String { directory.appendingPathComponent("certificate.pem").path }
    var keyFile: String { directory.appendingPathComponent("key.pem").path }
    private let directory: URL

    /// A self-signed one, which may sign others: for a host's name, or an address as `IP:127.0.0.1`.
    static func selfSigned(_ name: String) async throws -> Certificate {
        try await onThread { try Certificate(name: name) }
    }

    /// One that another has signed, valid between two times in years from now.
    static func signed(
        _ name: String, by authority: Certificate, from: Int = -1, until: Int = 1
    ) async throws -> Certificate {
        try await onThread { try Certificate(name: name, signedBy: authority, from: from, until: until) }
    }

    private init(name: String) throws {
        directory = try Self.makeDirectory()
        try Self.require([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
            "-subj", "/CN=test", "-addext", "subjectAltName=\(Self.alternative(name))", "-keyout", keyFile,
            "-out", file,
        ])
    }

    private init(name: String, signedBy authority: Certificate, from: Int, until: Int) throws {
        directory = try Self.makeDirectory()
        let request = directory.appendingPathComponent("request.pem").path
        try Self.require([
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=test",
            "-addext", "subjectAltName=\(Self.alternative(name))", "-keyout", keyFile, "-out", request,
        ])
        let settings = directory.appendingPathComponent("settings")
        let database = directory.appendingPathComponent("database")
        try Data().write(to: database)
        try Data(
            """
            [ca]
            default_ca = only
            [only]
            database = \(database.path)
            new_certs_dir = \(directory.path)
            rand_serial = yes
            default_md = sha256
            policy = names
            copy_extensions = copy
            [names]
            commonName = supplied
            """.utf8
        ).write(to: settings)
        let year = Calendar(identifier: .gregorian).component(.year, from: .now)
        try Self.require([
            "ca", "-batch", "-notext", "-config", settings.path, "-cert", authority.file, "-keyfile",
            authority.keyFile, "-in", request, "-out", file, "-startdate", "\(year + from)0101000000Z",
            "-enddate", "\(year + until)1231235959Z",
        ])
    }

    deinit {
        try? FileManager.default.removeItem(at: directory)
    }

    private static func alternative(_ name: String) -> String { name.hasPrefix("IP:") ? name : "DNS:\(name)" }

    private static func makeDirectory() throws -> URL {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("certificate-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }

    private static func require(_ arguments: [String]) throws {
        try #require(run(arguments) == 0)
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
