import TradeModel

/// Tells the last record of a partition from any other, by its fingerprint.
///
/// Of the records that pass by only the last one's is wanted: the bytes are kept, and stirred when it is asked for.
struct Anchor {
    private var fingerprint: UInt64?
    private var bytes: [UInt8] = []
    /// How many of the bytes are those of a record whose fingerprint has not been made.
    private var pending: Int?

    /// - Parameter fingerprint: that of the last record; nil where none is known.
    init(_ fingerprint: UInt64?) {
        self.fingerprint = fingerprint
    }

    /// Takes a record's value as that of the last one.
    @inline(__always)
    mutating func move(to value: UnsafeRawBufferPointer) {
        if bytes.count < value.count { bytes = Array(repeating: 0, count: value.count) }
        bytes.withUnsafeMutableBytes { $0.copyMemory(from: value) }
        pending = value.count
    }

    /// The last record's fingerprint; nil where no record is known.
    mutating func value() -> UInt64? {
        if let count = pending {
            fingerprint = bytes.withUnsafeBytes { Fingerprint.of(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
            pending = nil
        }
        return fingerprint
    }
}
