import Glibc

/// Grow-only memory that holds values in PostgreSQL's binary format, each with its length before it: the fields of
/// COPY's rows and the elements of arrays.
///
/// One owner; may move between threads.
package struct FieldBuffer: ~Copyable, @unchecked Sendable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    /// The bytes held.
    private(set) var byteCount = 0
    /// The values since the last `truncate`.
    private(set) var fieldCount = 0

    init(capacity: Int) {
        base = .allocate(byteCount: capacity, alignment: 16)
        self.capacity = capacity
    }

    deinit {
        base.deallocate()
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: byteCount) }

    /// Forgets what is behind `byteCount` and counts fields from there; keeps the memory.
    mutating func truncate(to byteCount: Int) {
        self.byteCount = byteCount
        fieldCount = 0
    }

    /// Appends a number that is no field.
    mutating func append<Integer: FixedWidthInteger>(_ value: Integer) {
        reserve(MemoryLayout<Integer>.size).storeBytes(of: value.bigEndian, as: Integer.self)
        byteCount += MemoryLayout<Integer>.size
    }

    /// Overwrites bytes that are there already.
    mutating func store<Integer: FixedWidthInteger>(_ value: Integer, at offset: Int) {
        base.storeBytes(of: value.bigEndian, toByteOffset: offset, as: Integer.self)
    }

    /// Makes room for at least `count` bytes and returns where they go.
    @inline(__always)
    mutating func reserve(_ count: Int) -> UnsafeMutableRawPointer {
        if capacity - byteCount < count { grow(by: count) }
        return base + byteCount
    }

    /// Ends the field whose length and `payload` bytes were written where `reserve` said.
    @inline(__always)
    mutating func advance(payload: Int) {
        byteCount += 4 + payload
        fieldCount += 1
    }

    @inline(never)
    private mutating func grow(by count: Int) {
        capacity = max(capacity * 2, byteCount + count)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: base, byteCount: byteCount)
        base.deallocate()
        base = larger
    }

    @inline(__always)
    private mutating func fixed<Integer: FixedWidthInteger>(_ value: Integer) {
        let size = MemoryLayout<Integer>.size
        let field = reserve(4 + size)
        field.storeBytes(of: Int32(size).bigEndian, as: Int32.self)
        field.storeBytes(of: value.bigEndian, toByteOffset: 4, as: Integer.self)
        advance(payload: size)
    }
}

// MARK: - Fields

extension FieldBuffer {
    /// NULL.
    package mutating func null() {
        reserve(4).storeBytes(of: Int32(-1).bigEndian, as: Int32.self)
        advance(payload: 0)
    }

    /// A `boolean`.
    package mutating func bool(_ value: Bool) { fixed(UInt8(value ? 1 : 0)) }

    /// A `smallint`.
    package mutating func int2(_ value: Int16) { fixed(value) }

    /// An `integer`.
    package mutating func int4(_ value: Int32) { fixed(value) }

    /// A `bigint`.
    package mutating func int8(_ value: Int64) { fixed(value) }

    /// A `text` (valid UTF-8 without NUL) or a `bytea`; the bytes are copied.
    package mutating func bytes(_ value: UnsafeRawBufferPointer) {
        let field = reserve(4 + value.count)
        field.storeBytes(of: Int32(value.count).bigEndian, as: Int32.self)
        if let source = value.baseAddress { (field + 4).copyMemory(from: source, byteCount: value.count) }
        advance(payload: value.count)
    }

    /// A `text`; NUL characters are the server's to refuse.
    package mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { bytes(UnsafeRawBufferPointer($0)) }
    }

    /// A `jsonb`, from JSON text; the bytes are copied.
    package mutating func jsonb(_ value: UnsafeRawBufferPointer) {
        let field = reserve(5 + value.count)
        field.storeBytes(of: Int32(1 + value.count).bigEndian, as: Int32.self)
        field.storeBytes(of: 1, toByteOffset: 4, as: UInt8.self)  // the version of the format
        if let source = value.baseAddress { (field + 5).copyMemory(from: source, byteCount: value.count) }
        advance(payload: 1 + value.count)
    }

    /// A `timestamptz`, in microseconds since 1970-01-01 UTC.
    ///
    /// - Throws: a data error (22008) for what lies before PostgreSQL's calendar; its end is beyond 64 bits.
    package mutating func timestamptz(microsecondsSince1970: Int64) throws(PostgresError) {
        fixed(try Self.timestamptz(microsecondsSince1970))
    }

    /// Overwrites the value of a `timestamptz` field that begins at `offset`.
    mutating func storeTimestamptz(microsecondsSince1970: Int64, at offset: Int) throws(PostgresError) {
        store(try Self.timestamptz(microsecondsSince1970), at: offset + 4)
    }

    /// PostgreSQL counts from 2000-01-01, and from 24 November of 4714 BC on.
    @inline(__always)
    private static func timestamptz(_ microsecondsSince1970: Int64) throws(PostgresError) -> Int64 {
        let epoch: Int64 = 946_684_800_000_000
        let first: Int64 = -211_813_488_000_000_000 + epoch
        guard microsecondsSince1970 >= first else {
            throw PostgresError(
                sqlState: PostgresError.timestampOutOfRange,
                message: "timestamp out of range: \(microsecondsSince1970) microseconds since 1970")
        }
        return microsecondsSince1970 - epoch
    }
}
