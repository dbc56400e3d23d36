import ServiceKit
import TradeModel

/// Messages on their way to a client: how they are framed, and those that wait to go in one segment.
struct ScenarioOutput {
    var kind = ScenarioStep.FrameKind.text
    var fragments: ScenarioStep.Fragments?
    /// How many frames go in one segment.
    var gathered = 1
    private var random = SeededRandom(seed: 0)
    private var wire: [UInt8] = []
    private var waiting: [(message: [UInt8], fault: String?)] = []

    /// What a message is on the wire.
    mutating func bytes(_ message: [UInt8]) -> [UInt8] {
        ServerFrame.message(message, as: kind, fragments, &random)
    }

    /// Sends a message, or has it wait until there are enough.
    mutating func send(_ message: [UInt8], _ connection: ScenarioConnection) throws(ConnectionEnd) {
        wire += bytes(message)
        waiting.append((message, kind == .text ? nil : kind.rawValue))
        if waiting.count >= gathered { try flush(connection) }
    }

    /// Sends what waits, and notes it in the recording once the kernel has it.
    mutating func flush(_ connection: ScenarioConnection) throws(ConnectionEnd) {
        guard !waiting.isEmpty else { return }
        try connection.socket.send(wire)
        for (message, fault) in waiting {
            connection.context.recorder.append(message, connection: connection.number, fault: fault)
        }
        wire = []
        waiting = []
    }
}

extension ScenarioConnection {
    /// How many trades the message has of which a dropped connection brings the half.
    private static let droppedTrades = 10
    /// How long it is waited at least for the next trade.
    private static let tick = Duration.milliseconds(1)

    /// Sends the message in the frame writer.
    func sendFrame() throws(ConnectionEnd) {
        try output.send(frame.withBytes { Array($0) }, self)
    }

    /// Sends trades of the market at their rate, while there are subscriptions.
    func sendTrades(_ step: ScenarioStep.TradesStep) throws(ConnectionEnd) {
        let maxPerFrame = step.maxPerFrame ?? context.options.maxFrameTrades
        var left = step.count ?? .max
        var pace: Pace?
        tradesStep = step
        defer { tradesStep = nil }
        while left > 0 {
            guard !market.isEmpty else {
                pace = nil
                try listen(until: nil)
                continue
            }
            let now = Moment.now()
            var due = Int.max
            if case .perSecond(let rate) = step.rate ?? .perSecond(context.options.rate) {
                pace = pace ?? Pace(rate: rate, from: now.instant)
                due = pace?.due(at: now.instant) ?? 0
                if due <= 0 {
                    try hear(until: now.instant + max(Self.tick, .seconds(1) / rate))
                    continue
                }
            }
            let count = min(due, maxPerFrame, left)
            frame.writeTrades(count, of: &market, at: now.time, style: step.style)
            try sendCopies(of: frame.withBytes { Array($0) }, step)
            tradesSent += count * step.style.copies * step.frameCopies
            pace?.take(count)
            left -= count
            try hear(until: now.instant)
        }
    }

    private func sendCopies(of message: [UInt8], _ step: ScenarioStep.TradesStep) throws(ConnectionEnd) {
        for copy in 0..<step.frameCopies {
            if copy > 0, step.apart > .zero { try hear(until: .now + step.apart) }
            try output.send(message, self)
        }
    }

    /// Breaks the connection off in the middle of a message.
    func drop() throws(ConnectionEnd) {
        if market.isEmpty {
            frame.writePing()
        } else {
            frame.writeTrades(Self.droppedTrades, of: &market, at: .now())
        }
        let message = frame.withBytes { Array($0) }
        try socket.sendHalf(output.bytes(message))
        context.recorder.append(message, connection: number, fault: "dropped")
        throw ConnectionEnd("dropped", .endOfStream)
    }
}
