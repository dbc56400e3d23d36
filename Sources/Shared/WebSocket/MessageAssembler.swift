/// Puts the chunks of a message together. A message that comes in one chunk is handed on as it lies in libwebsockets' buffer.
///
/// What would pass a limit is refused as soon as a frame's header tells so, before its bytes are kept.
struct MessageAssembler: ~Copyable {
    /// What a peer may send at most.
    struct Limits {
        /// The bytes of a message.
        var messageBytes: Int
        /// The bytes of a frame.
        var frameBytes: Int
        /// The frames that a message comes in, empty ones counted.
        var fragments = 4096
    }

    /// What a chunk led to. After a refusal the connection is to be closed: what follows would be taken for a new message.
    enum Outcome {
        case incomplete
        case message(UnsafeRawBufferPointer)
        case messageTooBig
        case frameTooBig
        case tooManyFragments
    }

    private static let smallestBuffer = 128 << 10

    private let limits: Limits
    private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var count = 0
    private var fragments = 0
    /// What the frame under way still lacks.
    private var frameRest = 0

    init(_ limits: Limits) {
        self.limits = limits
    }

    deinit {
        buffer.deallocate()
    }

    /// Forgets a message that was begun.
    mutating func reset() {
        count = 0
        fragments = 0
        frameRest = 0
    }

    /// Takes the next chunk; a message that this completes is valid until the next call.
    ///
    /// - Parameters:
    ///   - frameRest: how many bytes of the chunk's frame are still to come.
    ///   - isFinal: whether the message ends with the chunk.
    mutating func take(_ chunk: UnsafeRawBufferPointer, frameRest: Int, isFinal: Bool) -> Outcome {
        if self.frameRest == 0 {
            fragments += 1
            let size = chunk.count + frameRest
            if size > limits.messageBytes - count { return refuse(.messageTooBig) }
            if size > limits.frameBytes { return refuse(.frameTooBig) }
            if fragments > limits.fragments { return refuse(.tooManyFragments) }
        }
        self.frameRest = frameRest
        if count == 0 && isFinal {
            reset()
            return .message(chunk)
        }
        reserve(count + chunk.count)
        UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).copyMemory(from: chunk)
        count += chunk.count
        guard isFinal else { return .incomplete }
        defer { reset() }
        return .message(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }

    private mutating func refuse(_ outcome: Outcome) -> Outcome {
        reset()
        return outcome
    }

    private mutating func reserve(_ needed: Int) {
        guard needed > buffer.count else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: max(needed, min(limits.messageBytes, max(2 * buffer.count, Self.smallestBuffer))), alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        buffer.deallocate()
        buffer = larger
    }
}
