import ServiceKit
import TradeModel

/// One connection: does its steps one after the other, and hears the client meanwhile. One thread.
final class ScenarioConnection {
    let number: Int
    let context: ScenarioContext
    let socket: ClientSocket
    private let token: String?
    private var request: UpgradeHandshake?
    private var policy: ScenarioStep.KeyPolicy?
    private var isOpen = false
    private var ignored: Set<ScenarioStep.Ignored> = []
    /// A text message of the client's that is not whole.
    private var message: [UInt8] = []
    private var session: ClientSession
    private var pingInterval: Duration?
    private var nextPing = ContinuousClock.now
    /// What is sent.
    var output = ScenarioOutput()
    var frame = FrameWriter()
    var market: Market
    /// The symbols that the client wants.
    var subscribed: Set<ShortText> = [] {
        didSet { tune() }
    }
    /// Those of them that the market trades.
    private var tuned: Set<ShortText> = []
    /// The trades that are being sent.
    var tradesStep: ScenarioStep.TradesStep? {
        didSet { tune() }
    }
    var tradesSent = 0

    /// Takes over the descriptor of an accepted connection.
    init(_ number: Int, _ descriptor: Int32, _ context: ScenarioContext) {
        self.number = number
        self.context = context
        socket = ClientSocket(descriptor)
        let options = context.options
        token = options.token
        let symbols = MarketSymbol.all(extra: options.extraSymbols)
        // So that no two connections bring the same trades.
        market = Market(symbols: symbols, seed: options.seed &+ UInt64(number - 1))
        session = ClientSession(known: Set(symbols.map(\.name)), places: options.places)
        pingInterval = options.pingInterval
    }

    /// Serves the client until the steps, the client or the server end the connection.
    func run() {
        context.recorder.append(event: "connected", connection: number)
        context.logger.info("client connected", ["client": number])
        var end: ConnectionEnd
        do throws(ConnectionEnd) {
            for line in context.scenario.lines(ofConnection: number) {
                if !line.step.isMessage { try output.flush(self) }
                try perform(line)
            }
            try output.flush(self)
            try hear(until: nil)
            end = .clientLeft
        } catch {
            end = error
        }
        // What others did to the connection looks from here as if the client had left.
        end = context.clients.remove(number) ?? end
        context.recorder.append(event: end.description, connection: number)
        context.logger.info(
            "client disconnected", ["client": number, "end": end.description, "trades.sent": tradesSent])
        socket.close(end.manner)
    }

    private func perform(_ line: Scenario.Line) throws(ConnectionEnd) {
        switch line.step {
        case .tls:
            if let identity = context.scenario.files(line.step).flatMap({ context.identities[$0] }) {
                try socket.begin(identity.makeSession())
            }
        case .buffer(let bytes): socket.setBuffer(bytes)
        case .patience(let time): socket.setPatience(time)
        case .cut(let cut): socket.setCut(cut)
        case .gather(let frames): output.gathered = frames
        case .fragments(let fragments): output.fragments = fragments
        case .frames(let kind): output.kind = kind
        case .pings(let interval):
            pingInterval = interval
            if let interval { nextPing = .now + interval }
        case .maxSymbols(let count): session.places = count
        case .invalid(let symbol): session.known.remove(symbol)
        case .ignore(let what): ignored.insert(what)
        case .key(let policy): self.policy = policy
        case .answer(let answer):
            if let period = answer.period, context.clients.age(ofLine: line.number, at: .now) >= period { break }
            try self.answer(answer)
        case .accept(let acceptance): try accept(acceptance)
        case .trades(let step): try sendTrades(step)
        case .text(let text):
            let now = String(Timestamp.now().milliseconds)
            frame.write(
                verbatim: text.split(separator: "$now", omittingEmptySubsequences: false).joined(separator: now))
            try sendFrame()
        case .drop: try drop()
        case .waitFor(let time): try hear(until: .now + time)
        case .waitForever: try hear(until: nil)
        case .waitForSymbols(let count): while subscribed.count < count { try listen(until: nil) }
        case .mute(let time): try socket.rests(for: time)
        case .close(let code, let reason): try close(code, reason)
        case .end:
            _ = try handshake()
            throw ConnectionEnd("ended", .endOfStream)
        case .reset:
            _ = try handshake()
            throw ConnectionEnd("reset", .reset)
        }
    }

    // MARK: Before the connection is open

    /// The client's request, once it is there.
    private func handshake() throws(ConnectionEnd) -> UpgradeHandshake {
        if let request { return request }
        while true {
            if let end = socket.received.firstRange(of: Array("\r\n\r\n".utf8)) {
                let request = UpgradeHandshake(socket.received[..<end.upperBound])
                socket.received.removeFirst(end.upperBound)
                self.request = request
                return request
            }
            guard socket.received.count < UpgradeHandshake.maxBytes else {
                throw ConnectionEnd("the client's request is too long")
            }
            try socket.receive(until: nil)
        }
    }

    private func answer(_ answer: ScenarioStep.Answer) throws(ConnectionEnd) {
        _ = try handshake()
        try socket.send(Array(UpgradeHandshake.response(answer).utf8))
        throw ConnectionEnd("answered \(answer.status)", .orderly)
    }

    private func accept(_ acceptance: ScenarioStep.Acceptance) throws(ConnectionEnd) {
        let request = try handshake()
        guard let key = request.key else { return try answer(.init(status: 400)) }
        if let token, request.token != token { return try answer(.init(status: 401)) }
        if acceptance == .wrongHash {
            // The hash of another key.
            try socket.send(Array(UpgradeHandshake.acceptance(ofKey: "another \(key)").utf8))
            throw ConnectionEnd("accepted with a wrong hash", .orderly)
        }
        let isAlone = context.clients.open(number, token: request.token, policy)
        if !isAlone, policy == .refuse { return try answer(.init(status: 429)) }
        try socket.send(Array(UpgradeHandshake.acceptance(ofKey: key).utf8))
        isOpen = true
        context.recorder.append(event: "accepted", connection: number)
        if let pingInterval { nextPing = .now + pingInterval }
        if !isAlone, policy == .closeBoth {
            throw ConnectionEnd("ended, as was the other with its token", .endOfStream)
        }
        // A client in a hurry has sent more than its request.
        try takeFrames()
    }

    // MARK: While it is open

    /// Hears the client until a moment, at least once, and sends the pings that are due; nil for ever.
    func hear(until deadline: ContinuousClock.Instant?) throws(ConnectionEnd) {
        repeat { try listen(until: deadline) } while deadline.map { $0 > .now } ?? true
    }

    /// Waits until the client says something, a ping is due, or the moment has come.
    func listen(until deadline: ContinuousClock.Instant?) throws(ConnectionEnd) {
        let ping = isOpen && pingInterval != nil ? nextPing : nil
        try socket.receive(until: [deadline, ping].compactMap { $0 }.min())
        guard isOpen else { return }
        try takeFrames()
        if let pingInterval, nextPing <= .now {
            nextPing = .now + pingInterval
            frame.writePing()
            try sendFrame()
        }
    }

    private func takeFrames() throws(ConnectionEnd) {
        while let frame = try ClientFrameReader.next(from: &socket.received) {
            switch frame.opcode {
            case .text, .continuation:
                message += frame.payload
                guard frame.isFinal else { break }
                let whole = message
                message = []
                try take(whole)
            case .ping:
                if !ignored.contains(.ping) { try socket.send(ServerFrame.bytes(.pong, frame.payload[...])) }
            case .close:
                try socket.send(ServerFrame.bytes(.close, frame.payload[...]))
                let code = frame.payload.count >= 2 ? Int(frame.payload[0]) << 8 | Int(frame.payload[1]) : 1005
                throw ConnectionEnd("closed by the client with code \(code)", .orderly)
            case .binary, .pong: break
            }
        }
    }

    private func take(_ message: [UInt8]) throws(ConnectionEnd) {
        switch session.receive(message.span) {
        case .subscribe(let symbol):
            if !ignored.contains(.subscribe) { subscribed.insert(symbol) }
        case .unsubscribe(let symbol):
            if !ignored.contains(.unsubscribe) { subscribed.remove(symbol) }
        case .refuse(let reason):
            frame.writeError(reason)
            try sendFrame()
        case .ignore: break
        }
    }

    /// Has the market trade what is wanted and not left out by the step.
    private func tune() {
        var wanted = tradesStep?.symbol.map { [$0] } ?? subscribed
        if let muted = tradesStep?.mutedSymbol { wanted.remove(muted) }
        for symbol in tuned.subtracting(wanted) { market.unsubscribe(symbol) }
        for symbol in wanted.subtracting(tuned) { market.subscribe(symbol) }
        tuned = wanted
    }

    private func close(_ code: UInt16?, _ reason: String) throws(ConnectionEnd) {
        try socket.send(ServerFrame.close(code: code, reason: reason))
        throw ConnectionEnd("closed" + (code.map { " with code \($0)" } ?? " without a code"), .orderly)
    }
}
