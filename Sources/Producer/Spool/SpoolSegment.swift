import Glibc
import TradeModel

/// One file of a spool, mapped into memory: a header, and records one behind the other until a record's checksum is 0.
///
/// All of it is little-endian and in multiples of 8 bytes:
///
/// | bytes | header |
/// |---|---|
/// | 8 | magic and version |
/// | 8 | the last sequence number before this file |
/// | 8 | up to which byte Kafka has acknowledged everything |
/// | 8 | when the feed was heard last, in microseconds since 1970 |
/// | 32 | zero |
///
/// | bytes | record |
/// |---|---|
/// | 8 | checksum of what follows |
/// | 8 | sequence number |
/// | 4, 4 | lengths of key and value |
/// | … | key, value, zeros up to a multiple of 8 |
///
/// The whole file has its place on disk from the start, so that a full disk is found out here and not at a later write. What
/// is written stays when the process is killed, since the pages are the kernel's; a loss of power may take what has not
/// been forced to disk, which the checksums find.
///
/// Owned by one thread. Reader and writer of a file have a mapping each.
final class SpoolSegment {
    struct Record {
        let sequence: Int64
        /// Valid as long as the segment is mapped.
        let key: UnsafeRawBufferPointer
        let value: UnsafeRawBufferPointer
        /// Where the next record begins.
        let end: Int
    }

    static let headerBytes = 64
    private static let recordHeaderBytes = 24
    private static let magic: UInt64 = 0x3130_4C4F_4F50_5354  // "TSPOOL01"

    let number: Int
    private let base: UnsafeMutableRawPointer
    private let size: Int

    private init(number: Int, base: UnsafeMutableRawPointer, size: Int) {
        self.number = number
        self.base = base
        self.size = size
    }

    deinit {
        munmap(base, size)
    }

    /// How many bytes of a file a record takes.
    static func bytes(key: Int, value: Int) -> Int {
        (recordHeaderBytes + key + value + 7) & ~7
    }

    /// Makes a file of so many bytes.
    static func make(
        _ path: String, number: Int, bytes: Int, sequenceBefore: Int64, lastSign: Timestamp
    ) throws(SpoolError) -> SpoolSegment {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolError("make", path, code: errno) }
        defer { close(descriptor) }
        let status = posix_fallocate(descriptor, 0, bytes)
        guard status == 0 else {
            unlink(path)
            throw SpoolError("make", path, code: status)
        }
        let segment = try map(descriptor, path, number: number, bytes: bytes)
        segment.base.storeBytes(of: sequenceBefore, toByteOffset: 8, as: Int64.self)
        segment.acknowledged = headerBytes
        segment.lastSign = lastSign
        // Last: a file without it was never begun.
        segment.base.storeBytes(of: magic, toByteOffset: 0, as: UInt64.self)
        return segment
    }

    /// Maps a file that is there; nil when it was never begun.
    static func open(_ path: String, number: Int) throws(SpoolError) -> SpoolSegment? {
        let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw SpoolError("open", path, code: errno) }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw SpoolError("open", path, code: errno) }
        guard facts.st_size > headerBytes else { return nil }
        let segment = try map(descriptor, path, number: number, bytes: Int(facts.st_size))
        switch segment.base.load(as: UInt64.self) {
        case magic: return segment
        case 0: return nil
        default: throw SpoolError("\(path) is no file of a spool, or that of a later version: move it away")
        }
    }

    private static func map(
        _ descriptor: Int32, _ path: String, number: Int, bytes: Int
    ) throws(SpoolError) -> SpoolSegment {
        let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let base, base != MAP_FAILED else { throw SpoolError("map", path, code: errno) }
        return SpoolSegment(number: number, base: base, size: bytes)
    }

    var sequenceBefore: Int64 { base.load(fromByteOffset: 8, as: Int64.self) }

    /// Up to which byte everything is acknowledged: what a restart need not send again.
    var acknowledged: Int {
        get { Int(base.load(fromByteOffset: 16, as: Int64.self)) }
        set { base.storeBytes(of: Int64(newValue), toByteOffset: 16, as: Int64.self) }
    }

    var lastSign: Timestamp {
        get { Timestamp(microseconds: base.load(fromByteOffset: 24, as: Int64.self)) }
        set { base.storeBytes(of: newValue.microseconds, toByteOffset: 24, as: Int64.self) }
    }

    /// Writes a record at an offset; nil when there is no room for it, otherwise where the next one goes.
    @inline(__always)
    func write(
        at offset: Int, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, sequence: Int64
    ) -> Int? {
        let end = offset + Self.bytes(key: key.count, value: value.count)
        guard end <= size else { return nil }
        let record = base + offset
        record.storeBytes(of: sequence, toByteOffset: 8, as: Int64.self)
        record.storeBytes(of: UInt32(key.count), toByteOffset: 16, as: UInt32.self)
        record.storeBytes(of: UInt32(value.count), toByteOffset: 20, as: UInt32.self)
        let content = record + Self.recordHeaderBytes
        if let bytes = key.baseAddress { content.copyMemory(from: bytes, byteCount: key.count) }
        if let bytes = value.baseAddress { (content + key.count).copyMemory(from: bytes, byteCount: value.count) }
        record.storeBytes(of: checksum(from: offset, to: end), as: UInt64.self)
        return end
    }

    /// The record at an offset, which is known to be whole; nil behind the last one.
    @inline(__always)
    func record(at offset: Int) -> Record? {
        guard offset + Self.recordHeaderBytes <= size, base.load(fromByteOffset: offset, as: UInt64.self) != 0 else {
            return nil
        }
        let keyLength = Int(base.load(fromByteOffset: offset + 16, as: UInt32.self))
        let valueLength = Int(base.load(fromByteOffset: offset + 20, as: UInt32.self))
        let end = offset + Self.bytes(key: keyLength, value: valueLength)
        guard end <= size else { return nil }
        let key = base + offset + Self.recordHeaderBytes
        return Record(
            sequence: base.load(fromByteOffset: offset + 8, as: Int64.self),
            key: UnsafeRawBufferPointer(start: key, count: keyLength),
            value: UnsafeRawBufferPointer(start: key + keyLength, count: valueLength), end: end)
    }

    /// Whether the record at an offset is what was once written there.
    func isWhole(at offset: Int, to end: Int) -> Bool {
        base.load(fromByteOffset: offset, as: UInt64.self) == checksum(from: offset, to: end)
    }

    /// Whether anything at all stands from an offset on.
    func isEmpty(from offset: Int) -> Bool {
        UnsafeRawBufferPointer(start: base + offset, count: size - offset).allSatisfy { $0 == 0 }
    }

    /// Ends the file at an offset, and answers how many bytes are given up with that.
    func cut(at offset: Int) -> Int {
        let rest = size - offset
        memset(base + offset, 0, rest)
        return rest
    }

    /// Never 0, which means that there is no record.
    private func checksum(from offset: Int, to end: Int) -> UInt64 {
        max(Fingerprint.of(UnsafeRawBufferPointer(start: base + offset + 8, count: end - offset - 8)), 1)
    }
}
