internal import CLibwebsockets

/// Why OpenSSL refused a server's certificate, in words that say what to do.
enum CertificateFault {
    /// The text for a verification error (`X509_V_ERR_…`).
    static func text(_ code: Int32) -> String {
        "the server's certificate was refused: \(String(cString: X509_verify_cert_error_string(Int(code)))); "
            + advice(code)
    }

    private static func advice(_ code: Int32) -> String {
        switch code {
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            "connect by a name that stands in the certificate"
        case X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID:
            "check this machine's clock; if it is right, the server needs a new certificate"
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            "if its authority is to be trusted, put that one's certificate into the configured file of authorities"
        default: "the server needs another certificate"
        }
    }
}
