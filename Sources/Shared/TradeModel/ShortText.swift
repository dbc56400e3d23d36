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
    @inline(__always)
    package init?(validUTF8 bytes: UnsafeRawBufferPointer) {
        guard bytes.count <= Self.capacity else { return nil }
        words.0 = Self.word(bytes, 0)
        words.1 = Self.word(bytes, 8)
        if bytes.count > 16 {
            words.2 = Self.word(bytes, 16)
            words.3 = Self.word(bytes, 24)
            words.4 = Self.word(bytes, 32)
            words.5 = Self.word(bytes, 40)
        }
        words.5 |= UInt64(bytes.count) << 56
    }

    /// Eight bytes from an offset on, as they lie in memory, with zeros for those behind the end: read whole, since bytes
    /// copied one way and read another make the processor wait.
    @inline(__always)
    private static func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        func load<Word: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: Word.Type) -> UInt64 {
            UInt64(truncatingIfNeeded: bytes.loadUnaligned(fromByteOffset: offset, as: Word.self))
        }
        let count = bytes.count - offset
        // Two reads that overlap cover any length between theirs.
        return switch count {
        case 8...: load(offset, UInt64.self)
        case 4...: load(offset, UInt32.self) | load(offset + count - 4, UInt32.self) << (8 * (count - 4))
        case 2...: load(offset, UInt16.self) | load(offset + count - 2, UInt16.self) << (8 * (count - 2))
        case 1: load(offset, UInt8.self)
        default: 0
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

extension ShortText {
    /// The text folded into one word, of which the high bits are the best stirred: for tables that a collision only slows.
    package var fold: UInt64 {
        let folded = (words.0 ^ words.2 ^ words.4) &+ (words.1 ^ words.3 ^ words.5) &* 0x9E37_79B9_7F4A_7C15
        return (folded ^ folded >> 32) &* 0xD6E8_FEB8_6659_FD93
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
