import TradeModel

/// One line of a scenario; docs/scenarios.md tells what each does.
enum ScenarioStep: Equatable, Sendable {
    // Settings, which count from their line on.
    case tls(certificate: String, key: String)
    case buffer(bytes: Int)
    case patience(Duration)
    /// nil for whole.
    case cut(Cut?)
    case gather(frames: Int)
    /// nil for whole.
    case fragments(Fragments?)
    case frames(FrameKind)
    /// nil for none.
    case pings(Duration?)
    case maxSymbols(Int)
    case invalid(ShortText)
    case ignore(Ignored)
    case key(KeyPolicy)

    // Before the connection is open.
    case answer(Answer)
    case accept(Acceptance)

    // While it is open.
    case trades(TradesStep)
    case text(String)
    case drop

    // At any time.
    case waitFor(Duration)
    case waitForever
    case waitForSymbols(Int)
    /// nil for ever.
    case mute(Duration?)
    case close(code: UInt16?, reason: String)
    case end
    case reset
}

extension ScenarioStep {
    /// Whether it sends messages, which may share a segment with others.
    var isMessage: Bool {
        switch self {
        case .trades, .text: true
        default: false
        }
    }

    /// How bytes are cut into segments.
    struct Cut: Equatable {
        let bytes: Int
        let pause: Duration
    }

    /// How messages are cut into frames.
    struct Fragments: Equatable {
        let count: Int
        /// Whether a PING frame stands between each two.
        let hasPings: Bool
        /// Whether one more comes at the end, which is empty.
        let hasEmptyEnd: Bool
    }

    /// What a message's frame looks like.
    enum FrameKind: String, CaseIterable {
        case text
        case binary
        case masked
        case invalidUTF8 = "invalid-utf8"
    }

    /// What of the client's is passed over.
    enum Ignored: String, CaseIterable {
        case subscribe, unsubscribe, ping
    }

    /// What accepting does when another connection with the same token is open.
    enum KeyPolicy: String, CaseIterable {
        case newestWins = "newest-wins"
        case closeBoth = "close-both"
        case refuse
    }

    /// An HTTP response instead of the upgrade.
    struct Answer: Equatable {
        let status: Int
        var retryAfter: Int?
        var location: String?
        /// How long after its first time the answer is given; later, the step is passed over. nil for always.
        var period: Duration?
    }

    /// How the upgrade is accepted.
    enum Acceptance: Equatable {
        case right
        case wrongHash
    }

    /// A number of the market's trades.
    struct TradesStep: Equatable {
        enum Rate: Equatable {
            case perSecond(Int)
            /// As fast as the client takes them.
            case max
        }

        /// nil for no end.
        let count: Int?
        /// nil for the program's own.
        var rate: Rate?
        /// nil for the program's own.
        var maxPerFrame: Int?
        /// Whose trades, whether or not it is subscribed; nil for those of the subscribed symbols.
        var symbol: ShortText?
        /// Whose trades are left out.
        var mutedSymbol: ShortText?
        var style = TradeStyle()
        /// How many times each frame is sent.
        var frameCopies = 1
        /// The pause before each further time.
        var apart = Duration.zero
    }

    /// Whether the steps behind this one are never reached.
    var isLast: Bool {
        switch self {
        case .waitForever, .mute(nil), .close, .end, .reset, .drop: true
        case .answer(let answer): answer.period == nil
        case .accept(let acceptance): acceptance == .wrongHash
        case .trades(let trades): trades.count == nil
        default: false
        }
    }
}
