/// A text whose bytes are letters, digits and the marks given; each other byte stands as `%` and two digits. Different texts
/// stay different.
/// - Parameter marks: what is left as it is besides letters and digits; by default what a URL's query leaves.
func percentEncoded(_ text: String, leaving marks: String = "-._~") -> String {
    let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\(marks)".utf8)
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
