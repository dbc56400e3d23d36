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
