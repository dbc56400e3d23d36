import Testing

@testable import Producer

@Suite struct RedactionTests {
    @Test func `a secret is taken out wherever it stands, also as it stands in a URL`() {
        let redacted = Redaction("a b/1")
        #expect(redacted("a b/1 and ?token=a%20b%2F1&x, a b/1") == "… and ?token=…&x, …")
        #expect(redacted("a b/2") == "a b/2")
    }

    @Test func `without a secret, nothing is taken out`() {
        #expect(Redaction("")("any text") == "any text")
    }
}
