internal import CSSL
import Glibc
import ServiceKit

/// A certificate and its key, as a server shows them. Thread-safe: OpenSSL counts the references of its contexts itself.
final class TLSIdentity: Sendable {
    nonisolated(unsafe) private let context: OpaquePointer

    /// Reads the files. A certificate that no client will accept is fine.
    /// - Throws: `ConfigurationError` when they cannot be read or do not belong together.
    init(_ files: CertificateFiles) throws(ConfigurationError) {
        context = SSL_CTX_new(TLS_server_method())
        guard SSL_CTX_use_certificate_chain_file(context, files.certificate) == 1,
            SSL_CTX_use_PrivateKey_file(context, files.key, SSL_FILETYPE_PEM) == 1
        else {
            throw ConfigurationError(
                "--scenario: the certificate '\(files.certificate)' with the key '\(files.key)' cannot be used: "
                    + TLSSession.reason)
        }
    }

    deinit {
        SSL_CTX_free(context)
    }

    /// All that a scenario names.
    static func all(of scenario: Scenario) throws(ConfigurationError) -> [CertificateFiles: TLSIdentity] {
        var identities: [CertificateFiles: TLSIdentity] = [:]
        for files in scenario.certificates { identities[files] = try TLSIdentity(files) }
        return identities
    }

    /// The server's side of a new connection.
    func makeSession() -> TLSSession { TLSSession(SSL_new(context)) }
}

/// The server's side of TLS on one connection, without I/O: bytes go in and come out. One thread.
///
/// So that what goes over the wire can be cut off anywhere, also in the middle of a record.
final class TLSSession {
    private let ssl: OpaquePointer
    /// What came from the client, and what is to go to it; the session owns both.
    private let incoming = BIO_new(BIO_s_mem())
    private let outgoing = BIO_new(BIO_s_mem())

    fileprivate init(_ ssl: OpaquePointer) {
        self.ssl = ssl
        SSL_set_bio(ssl, incoming, outgoing)
        SSL_set_accept_state(ssl)
    }

    deinit {
        SSL_free(ssl)
    }

    /// Whether the handshake is done.
    var isReady: Bool { SSL_is_init_finished(ssl) == 1 }

    /// Takes bytes off the wire; returns what the client said in them.
    /// - Throws: `TLSFailure` when they are not TLS, or the client refuses.
    func open(_ bytes: [UInt8]) throws(TLSFailure) -> [UInt8] {
        ERR_clear_error()
        BIO_write(incoming, bytes, Int32(bytes.count))
        var plain: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            // Does the handshake too.
            let count = SSL_read(ssl, &chunk, Int32(chunk.count))
            guard count <= 0 else {
                plain += chunk[..<Int(count)]
                continue
            }
            let error = SSL_get_error(ssl, count)
            guard error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL else { return plain }
            throw TLSFailure(description: Self.reason)
        }
    }

    /// Encrypts bytes; what goes over the wire is taken with ``takeOutput()``. The handshake is done.
    func seal(_ bytes: [UInt8]) {
        // Into memory everything is written at once.
        if !bytes.isEmpty { SSL_write(ssl, bytes, Int32(bytes.count)) }
    }

    /// Announces the orderly end.
    func close() {
        if isReady { SSL_shutdown(ssl) }
    }

    /// The bytes that are to go over the wire.
    func takeOutput() -> [UInt8] {
        let waiting = BIO_ctrl_pending(outgoing)
        return [UInt8](unsafeUninitializedCapacity: waiting) { buffer, count in
            count = waiting == 0 ? 0 : Int(max(0, BIO_read(outgoing, buffer.baseAddress, Int32(waiting))))
        }
    }

    /// What OpenSSL says went wrong last on this thread.
    fileprivate static var reason: String {
        let code = ERR_get_error()
        // The system's own errors have this bit, and no text of OpenSSL's.
        if code & 0x8000_0000 != 0 { return String(cString: strerror(Int32(code & 0x7FFF_FFFF))) }
        return ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
    }
}

/// Why TLS cannot go on.
struct TLSFailure: Error {
    let description: String
}
