/// A 64-bit hash of what is added to it, made by multiplying and folding: the high half of a full product stirs every bit of
/// a word into all others. It tells accidents apart, not attacks.
package struct Fingerprint: Sendable {
    package private(set) var value: UInt64 = 0x9E37_79B9_7F4A_7C15

    package init() {}

    /// That of some bytes and nothing else.
    package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var fingerprint = Fingerprint()
        fingerprint.add(bytes)
        return fingerprint.value
    }

    /// Adds a number of eight bytes.
    package mutating func add(_ word: UInt64) {
        let product = (value ^ word).multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
        value = product.high ^ product.low &+ 0x9E37_79B9_7F4A_7C15
    }

    /// Adds a decimal as it was written: `1.5` and `1.50` differ.
    package mutating func add(_ number: Decimal) {
        add(UInt64(truncatingIfNeeded: number.coefficient))
        add(UInt64(truncatingIfNeeded: number.coefficient >> 64) << 8 | UInt64(number.scale))
    }

    /// Texts of different lengths differ, whatever stands in them.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index + 8 <= bytes.count {
            add(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        var rest: UInt64 = 0
        for byte in bytes[index...] { rest = rest << 8 | UInt64(byte) }
        add(rest)
        add(UInt64(bytes.count))
    }
}
