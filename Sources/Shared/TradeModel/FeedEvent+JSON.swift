/// The topic's form of an event: one JSON object a record (docs/formats.md).
extension FeedEvent {
    /// Reads a record's value in one pass. Fields that are not known are ignored: later versions may add some.
    package init(json bytes: Span<UInt8>) throws(RejectionReason) {
        do throws(RejectionReason) {
            self = try bytes.scanFeedEvent()
        } catch {
            // What is no JSON to its end is called so, whatever else was wrong before.
            try bytes.checkJSON()
            throw error
        }
    }
}

/// Fields as they come in; a key that comes twice counts as it comes last.
private struct FeedEventFields {
    var kind: FeedEvent.Kind?
    var at: Timestamp?
    var source: ShortText?
    var sequence: Int64?
    var symbol: ShortText?
    var cause: String?
    var closeCode: Int32?
    var httpStatus: Int32?
    var connectedMilliseconds: Int64?
    var gapFrom: Timestamp?
    var gapTo: Timestamp?
    var details: [ShortText: Int64] = [:]
    var frames: Int64?
    var received: Int64?
    var rejected: Int64?
    var enqueued: Int64?
    var acknowledged: Int64?

    func event() throws(RejectionReason) -> FeedEvent {
        guard let kind, let at, let source, let sequence else { throw .missingField }
        var event = FeedEvent(kind, at: at, source: source, sequence: sequence)
        event.symbol = symbol
        event.cause = cause
        event.closeCode = closeCode
        event.httpStatus = httpStatus
        event.connectedMilliseconds = connectedMilliseconds
        event.gapFrom = gapFrom
        event.gapTo = gapTo
        event.counts = try counts()
        event.details = details
        return event
    }

    /// All of them or none.
    private func counts() throws(RejectionReason) -> FeedEvent.Counts? {
        guard let frames, let received, let rejected, let enqueued, let acknowledged else {
            let isNone =
                frames == nil && received == nil && rejected == nil && enqueued == nil && acknowledged == nil
            guard isNone else { throw .missingField }
            return nil
        }
        var counts = FeedEvent.Counts()
        counts.frames = frames
        counts.received = received
        counts.rejected = rejected
        counts.enqueued = enqueued
        counts.acknowledged = acknowledged
        return counts
    }
}

extension Span<UInt8> {
    fileprivate func scanFeedEvent() throws(RejectionReason) -> FeedEvent {
        var position = 0
        skipSpace(&position)
        guard peek(position) == UInt8(ascii: "{") else { throw .notAnObject }
        position += 1
        var fields = FeedEventFields()
        var first = true
        while let key = try scanKey(&position, first: &first)?.content {
            try scanField(key, of: &fields, &position)
        }
        skipSpace(&position)
        guard position == count else { throw .malformedJSON }
        return try fields.event()
    }

    private func scanField(
        _ key: ByteRange, of fields: inout FeedEventFields, _ position: inout Int
    ) throws(RejectionReason) {
        switch string(key) {
        case "kind": fields.kind = try scanKind(&position)
        case "at": fields.at = try scanTimestamp(&position)
        case "src": fields.source = try scanShortText(&position)
        case "seq": fields.sequence = try scanCount(&position)
        case "symbol": fields.symbol = try scanShortText(&position)
        case "cause": fields.cause = try scanCause(&position)
        case "close_code": fields.closeCode = try scanCount(&position)
        case "http_status": fields.httpStatus = try scanCount(&position)
        case "connected_ms": fields.connectedMilliseconds = try scanCount(&position)
        case "from": fields.gapFrom = try scanTimestamp(&position)
        case "to": fields.gapTo = try scanTimestamp(&position)
        case "frames": fields.frames = try scanCount(&position)
        case "received": fields.received = try scanCount(&position)
        case "rejected": fields.rejected = try scanCount(&position)
        case "enqueued": fields.enqueued = try scanCount(&position)
        case "acknowledged": fields.acknowledged = try scanCount(&position)
        case "details": fields.details = try scanDetails(&position)
        default: try skipValue(&position)
        }
    }

    private func scanKind(_ position: inout Int) throws(RejectionReason) -> FeedEvent.Kind {
        guard peek(position) == UInt8(ascii: "\"") else { throw .wrongType }
        guard let kind = FeedEvent.Kind(rawValue: try text(of: scanString(&position))) else { throw .unknownKind }
        return kind
    }

    private func scanCause(_ position: inout Int) throws(RejectionReason) -> String {
        guard peek(position) == UInt8(ascii: "\"") else { throw .wrongType }
        let cause = try text(of: scanString(&position))
        guard !cause.utf8.contains(0) else { throw .badText }
        return cause
    }

    private func scanDetails(_ position: inout Int) throws(RejectionReason) -> [ShortText: Int64] {
        guard peek(position) == UInt8(ascii: "{") else { throw .wrongType }
        position += 1
        var details: [ShortText: Int64] = [:]
        var first = true
        while let key = try scanKey(&position, first: &first) {
            details[try shortText(of: key)] = try scanCount(&position)
        }
        return details
    }
}

extension ByteWriter {
    /// Appends a record's value; fields that are not set are left out.
    package mutating func write(_ event: FeedEvent) {
        write("{\"kind\":\"")
        write(event.kind.rawValue)
        write("\",\"at\":\"")
        write(event.at)
        write("\",\"src\":")
        writeJSONString(event.source)
        write(",\"seq\":")
        write(event.sequence)
        if let symbol = event.symbol {
            write(",\"symbol\":")
            writeJSONString(symbol)
        }
        if let cause = event.cause {
            write(",\"cause\":")
            writeJSONString(cause)
        }
        writeField(",\"close_code\":", event.closeCode.map { Int64($0) })
        writeField(",\"http_status\":", event.httpStatus.map { Int64($0) })
        writeField(",\"connected_ms\":", event.connectedMilliseconds)
        writeField(",\"from\":", event.gapFrom)
        writeField(",\"to\":", event.gapTo)
        if let counts = event.counts {
            writeField(",\"frames\":", counts.frames)
            writeField(",\"received\":", counts.received)
            writeField(",\"rejected\":", counts.rejected)
            writeField(",\"enqueued\":", counts.enqueued)
            writeField(",\"acknowledged\":", counts.acknowledged)
        }
        if !event.details.isEmpty {
            write(",\"details\":")
            write(event.details)
        }
        write(byte: UInt8(ascii: "}"))
    }

    /// Appends counts by name as a JSON object, in the order of the names' bytes.
    package mutating func write(_ details: [ShortText: Int64]) {
        var separator = UInt8(ascii: "{")
        for (name, count) in details.sorted(by: { $0.key < $1.key }) {
            write(byte: separator)
            writeJSONString(name)
            write(byte: UInt8(ascii: ":"))
            write(count)
            separator = UInt8(ascii: ",")
        }
        if details.isEmpty { write(byte: separator) }
        write(byte: UInt8(ascii: "}"))
    }

    private mutating func writeJSONString(_ text: ShortText) {
        text.withBytes { writeJSONString($0) }
    }

    private mutating func writeField(_ key: StaticString, _ value: Int64?) {
        guard let value else { return }
        write(key)
        write(value)
    }

    private mutating func writeField(_ key: StaticString, _ value: Timestamp?) {
        guard let value else { return }
        write(key)
        write(byte: UInt8(ascii: "\""))
        write(value)
        write(byte: UInt8(ascii: "\""))
    }
}
