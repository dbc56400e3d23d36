/// Takes a secret out of texts that come from elsewhere: a server may repeat what it was sent.
struct Redaction {
    private let forms: [String]

    /// - Parameter secret: as the user gave it; its form in a URL is taken out too. Empty for none.
    init(_ secret: String) {
        forms = secret.isEmpty ? [] : [secret, percentEncoded(secret)]
    }

    /// The text with `…` wherever the secret stood.
    func callAsFunction(_ text: String) -> String {
        forms.reduce(text) { $0.replacing($1, with: "…") }
    }
}

/// A text as it stands in a URL's query.
func percentEncoded(_ text: String) -> String {
    let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
    var encoded = ""
    for byte in text.utf8 {
        if plain.contains(byte) {
            encoded.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            encoded += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
    }
    return encoded
}
