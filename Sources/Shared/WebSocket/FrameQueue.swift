internal import CLibwebsockets

/// Frames that wait to be written, laid out as they go over the wire, so that one write takes many of them.
///
/// A server's frames are not masked, which is why this module can lay them out itself. The buffer is kept and reused.
struct FrameQueue: ~Copyable {
    private let limit: Int
    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private(set) var count = 0

    init(limit: Int) {
        self.limit = limit
    }

    deinit {
        buffer.deallocate()
    }

    /// Appends an unfragmented text frame; false when it would pass the limit.
    mutating func appendFrame(_ payload: UnsafeRawBufferPointer) -> Bool {
        let size = payload.count
        let headerSize = size < 126 ? 2 : size < 65_536 ? 4 : 10
        guard reserve(headerSize + size) else { return false }
        let header = buffer.baseAddress! + count
        header.storeBytes(of: 0x81, as: UInt8.self)
        switch headerSize {
        case 2:
            header.storeBytes(of: UInt8(size), toByteOffset: 1, as: UInt8.self)
        case 4:
            header.storeBytes(of: 126, toByteOffset: 1, as: UInt8.self)
            header.storeBytes(of: UInt16(size).bigEndian, toByteOffset: 2, as: UInt16.self)
        default:
            header.storeBytes(of: 127, toByteOffset: 1, as: UInt8.self)
            header.storeBytes(of: UInt64(size).bigEndian, toByteOffset: 2, as: UInt64.self)
        }
        count += headerSize
        copy(payload)
        return true
    }

    /// Appends bytes as they are; false when they would pass the limit.
    mutating func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard reserve(bytes.count) else { return false }
        copy(bytes)
        return true
    }

    /// Writes everything; libwebsockets keeps what the socket does not take. False when the connection is dead.
    mutating func write(to wsi: OpaquePointer) -> Bool {
        let size = count
        count = 0
        return lws_write(wsi, buffer.baseAddress!.assumingMemoryBound(to: UInt8.self), size, LWS_WRITE_HTTP) >= size
    }

    private mutating func copy(_ bytes: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: bytes)
        count += bytes.count
    }

    private mutating func reserve(_ more: Int) -> Bool {
        let needed = count + more
        guard needed <= limit else { return false }
        guard needed > buffer.count else { return true }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(limit, max(needed, 2 * buffer.count, EventLoop.chunkBytes)), alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        buffer.deallocate()
        buffer = larger
        return true
    }
}
