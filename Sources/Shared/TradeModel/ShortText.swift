/// A text of at most 47 UTF-8 bytes that lives in place: a symbol or a source.
///
/// It is a plain value: copying, comparing and hashing it allocates nothing, so it can pass through a hot path.
package struct ShortText: Sendable {
    /// The most UTF-8 bytes that fit.
    package static let capacity = 47

    // 47 bytes of text, padded with zeros, and the length in the last byte: equal texts are equal words.
    private var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)

    /// The empty text.
    package init() {}

    /// Takes UTF-8 bytes that the caller knows to be valid; nil when there are more than `capacity`.
    package init?(validUTF8 bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.capacity else { return nil }
        withUnsafeMutableBytes(of: &words) { target in
            target.copyMemory(from: bytes)
            target[Self.capacity] = UInt8(truncatingIfNeeded: bytes.count)
        }
    }

    /// Takes a string; nil when it is longer than `capacity` bytes.
    package init?(_ string: String) {
        var string = string
        guard let text = string.withUTF8({ ShortText(validUTF8: UnsafeRawBufferPointer($0)) }) else { return nil }
        self = text
    }

    /// How many UTF-8 bytes there are.
    package var count: Int { Int(words.5 >> 56) }

    /// Lends the UTF-8 bytes for the length of the call.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: words) { body(UnsafeRawBufferPointer(rebasing: $0[0..<count])) }
    }
}

extension ShortText: Hashable {
    package static func == (left: ShortText, right: ShortText) -> Bool {
        left.words.0 == right.words.0 && left.words.1 == right.words.1 && left.words.2 == right.words.2
            && left.words.3 == right.words.3 && left.words.4 == right.words.4 && left.words.5 == right.words.5
    }

    package func hash(into hasher: inout Hasher) {
        // Most symbols end within two words; the rest is zero and need not be stirred in.
        hasher.combine(words.0)
        hasher.combine(words.1)
        if count > 16 {
            hasher.combine(words.2)
            hasher.combine(words.3)
            hasher.combine(words.4)
        }
        hasher.combine(words.5)
    }
}

extension ShortText: Comparable {
    /// Orders by the bytes, as PostgreSQL's collation `C` does.
    package static func < (left: ShortText, right: ShortText) -> Bool {
        left.withBytes { leftBytes in right.withBytes { leftBytes.lexicographicallyPrecedes($0) } }
    }
}

extension ShortText: CustomStringConvertible {
    package var description: String {
        withBytes { String(decoding: $0, as: UTF8.self) }
    }
}
