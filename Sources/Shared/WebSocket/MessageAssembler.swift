internal import CLibwebsockets

/// Puts the chunks of a message together. A message that comes in one chunk is handed on as it lies in libwebsockets' buffer.
struct MessageAssembler: ~Copyable {
    /// What a chunk led to.
    enum Outcome {
        case incomplete
        case message(UnsafeRawBufferPointer)
        case tooBig
    }

    private let limit: Int
    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var count = 0

    init(limit: Int) {
        self.limit = limit
    }

    deinit {
        buffer.deallocate()
    }

    /// Forgets a message that was begun.
    mutating func reset() {
        count = 0
    }

    /// Takes the next chunk; a message that this completes is valid until the next call.
    mutating func take(_ chunk: UnsafeRawBufferPointer, isFinal: Bool) -> Outcome {
        if count + chunk.count > limit { return .tooBig }
        if count == 0 && isFinal { return .message(chunk) }
        reserve(count + chunk.count)
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: chunk)
        count += chunk.count
        guard isFinal else { return .incomplete }
        defer { count = 0 }
        return .message(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }

    private mutating func reserve(_ needed: Int) {
        guard needed > buffer.count else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(limit, max(needed, 2 * buffer.count, 2 * EventLoop.chunkBytes)), alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        buffer.deallocate()
        buffer = larger
    }
}
