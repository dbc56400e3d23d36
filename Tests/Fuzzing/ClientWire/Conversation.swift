/// What a client makes of a connection: its messages, and how it ended.
struct Conversation: Equatable, Sendable {
    static let messageBytes = 200
    static let frameBytes = 120
    static let fragments = 6

    var messages: [[UInt8]]
    var cause: WebSocketClosure.Cause
}

extension Conversation {
    /// What a client must make of these bytes and the end of the stream behind them; nil when a frame is masked.
    init?(reading wire: ArraySlice<UInt8>) {
        messages = []
        cause = .connectionLost
        var message: [UInt8] = []
        var fragments = 0
        var rest = wire
        while let frame = ServerFrame(&rest) {
            guard !frame.isMasked else { return nil }
            // What breaks the protocol, and what is not whole when the stream ends: lost.
            guard frame.isLegal(within: fragments > 0), frame.isWhole else { return }
            switch frame.opcode {
            case 0x8:
                cause = Self.close(Array(frame.payload))
                return
            case 0x9, 0xA:
                continue
            case 0x2:
                cause = .binaryFrame
                return
            default:
                break
            }
            fragments += 1
            if let refusal = Self.refusal(message.count + frame.payload.count, frame.payload.count, fragments) {
                cause = refusal
                return
            }
            message += frame.payload
            guard frame.isFinal else { continue }
            guard String(validating: message, as: UTF8.self) != nil else {
                cause = .invalidUTF8
                return
            }
            messages.append(message)
            message = []
            fragments = 0
        }
    }

    private static func refusal(_ message: Int, _ frame: Int, _ count: Int) -> WebSocketClosure.Cause? {
        if message > messageBytes { return .messageTooBig(limit: messageBytes) }
        if frame > frameBytes { return .frameTooBig(limit: frameBytes) }
        return count > fragments ? .tooManyFragments(limit: fragments) : nil
    }

    /// libwebsockets tells the codes that it does not know as 1002.
    private static func close(_ payload: [UInt8]) -> WebSocketClosure.Cause {
        guard payload.count >= 2 else { return .closedByServer(code: 1005, reason: "") }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        let isUnknown = code < 1000 || 1004...1006 ~= code || 1012..<3000 ~= code
        return .closedByServer(
            code: isUnknown ? 1002 : code, reason: String(decoding: payload.dropFirst(2), as: UTF8.self))
    }
}

extension ServerFrame {
    /// Whether the frame may come, within a message that was begun or not.
    func isLegal(within message: Bool) -> Bool {
        guard reserved == 0, size != nil else { return false }
        return switch opcode {
        case 0x0: message
        case 0x1, 0x2: !message
        case 0x8, 0x9, 0xA: isFinal && !hasLongHeader
        default: false
        }
    }
}
