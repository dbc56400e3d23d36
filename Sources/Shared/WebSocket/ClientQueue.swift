internal import CLibwebsockets

/// Text messages that wait to be sent, bounded in bytes, each with the room in front that libwebsockets writes its header to.
struct ClientQueue {
    private let limit: Int
    private var messages: [[UInt8]] = []
    private var byteCount = 0

    init(limit: Int) {
        self.limit = limit
    }

    var isEmpty: Bool { messages.isEmpty }

    mutating func removeAll() {
        messages.removeAll()
        byteCount = 0
    }

    /// False when the message would pass the limit.
    mutating func append(_ text: String) -> Bool {
        let size = text.utf8.count
        guard byteCount + size <= limit else { return false }
        var message = [UInt8](repeating: 0, count: Int(shim_lws_pre))
        message.reserveCapacity(message.count + size)
        message.append(contentsOf: text.utf8)
        messages.append(message)
        byteCount += size
        return true
    }

    /// Writes the oldest message; false when the connection is dead.
    mutating func writeFirst(to wsi: OpaquePointer) -> Bool {
        var message = messages.removeFirst()
        let size = message.count - Int(shim_lws_pre)
        byteCount -= size
        return message.withUnsafeMutableBufferPointer { bytes in
            lws_write(wsi, bytes.baseAddress! + Int(shim_lws_pre), size, LWS_WRITE_TEXT) >= size
        }
    }
}
