/// Messages in any frames, cut into any chunks, with any limits: `MessageAssembler` against arrays.
///
/// The input is four bytes of settings (limit of a message, of a frame, of fragments; size of a chunk and of the payload's
/// units) and then a server's frames. Control frames and masks are passed over, as libwebsockets does.
@c(LLVMFuzzerTestOneInput)
package func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count >= 4 else { return -1 }
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    // Each byte stands for a unit of so many, so that small inputs make messages beyond the first buffer.
    let unit = [1, 3, 64, 1024][Int(input[3] & 3)]
    let limits = MessageAssembler.Limits(
        messageBytes: Int(input[0]) * 8 * unit, frameBytes: Int(input[1]) * 8 * unit,
        fragments: Int(input[2] & 0x1F) + 1)
    let chunkSize = (Int(input[3] >> 2) + 1) * unit - (unit > 1 ? 1 : 0)
    var assembler = MessageAssembler(limits)
    var reference = Reference(limits: limits)
    var rest = input[4...]
    while let frame = ServerFrame(&rest) {
        if frame.isControl { continue }
        guard let declared = frame.size, declared < 1 << 40 else { break }
        let payload = frame.payload.flatMap { byte in (0..<unit).map { byte &+ UInt8(truncatingIfNeeded: $0) } }
        let size = declared * unit
        reference.beginFrame(size: size)
        var done = 0
        repeat {
            let end = min(done + chunkSize, size)
            // A chunk comes when it is full or the frame is whole.
            guard end <= payload.count else { return 0 }
            let chunk = Array(payload[done..<end])
            done = end
            let expected = reference.take(chunk, isFinal: frame.isFinal && done == size)
            let outcome = chunk.withUnsafeBytes { bytes in
                Outcome(assembler.take(bytes, frameRest: size - done, isFinal: frame.isFinal && done == size))
            }
            guard outcome == expected else { fatalError("expected \(expected), got \(outcome)") }
            switch outcome {
            case .incomplete, .message: break
            case .messageTooBig, .frameTooBig, .tooManyFragments:
                // As after a lost connection: the next message is read from its start.
                assembler.reset()
                reference = Reference(limits: limits)
                done = size
            }
        } while done < size
    }
    return 0
}

/// An outcome that owns its bytes.
private enum Outcome: Equatable {
    case incomplete
    case message([UInt8])
    case messageTooBig
    case frameTooBig
    case tooManyFragments

    init(_ outcome: MessageAssembler.Outcome) {
        self =
            switch outcome {
            case .incomplete: .incomplete
            case .message(let bytes): .message(Array(bytes))
            case .messageTooBig: .messageTooBig
            case .frameTooBig: .frameTooBig
            case .tooManyFragments: .tooManyFragments
            }
    }
}

/// The rules, said once more: a message is its frames' bytes one after the other.
private struct Reference {
    let limits: MessageAssembler.Limits
    private var message: [UInt8] = []
    private var fragments = 0
    private var refusal: Outcome?

    init(limits: MessageAssembler.Limits) {
        self.limits = limits
    }

    mutating func beginFrame(size: Int) {
        fragments += 1
        refusal =
            message.count + size > limits.messageBytes
            ? .messageTooBig
            : size > limits.frameBytes ? .frameTooBig : fragments > limits.fragments ? .tooManyFragments : nil
    }

    mutating func take(_ chunk: [UInt8], isFinal: Bool) -> Outcome {
        if let refusal { return refusal }
        message += chunk
        guard isFinal else { return .incomplete }
        defer {
            message = []
            fragments = 0
        }
        return .message(message)
    }
}
