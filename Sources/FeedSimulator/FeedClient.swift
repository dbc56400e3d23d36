import TradeModel
import WebSocket

/// One connection: its subscriptions, its feed, and what waits to be sent besides the feed. Loop thread.
final class FeedClient {
    /// Replies to a client that sends without reading are dropped above this.
    private static let maxReplies = 1024

    private var session: ClientSession
    private var feed: any Feed
    private var replies: [String] = []
    private var isPingDue = false
    /// How many trades were sent.
    var tradesSent = 0
    /// Whether the log knows that this client is slow.
    var isKnownAsSlow = false

    init(_ session: ClientSession, _ feed: any Feed) {
        self.session = session
        self.feed = feed
    }

    /// Takes a message of the client's; whatever follows from it is sent when the socket is writable.
    func receive(_ message: Span<UInt8>, at now: Moment) {
        switch session.receive(message) {
        case .subscribe(let symbol): feed.subscribe(symbol, at: now)
        case .unsubscribe(let symbol): feed.unsubscribe(symbol)
        case .refuse(let reason): if replies.count < Self.maxReplies { replies.append(reason) }
        case .ignore: break
        }
    }

    /// Has a ping sent; several that a slow client has not taken become one.
    func ping() {
        isPingDue = true
    }

    /// Whether a frame waits to be sent.
    func isDue(at now: Moment, allowance: Int) -> Bool {
        isPingDue || !replies.isEmpty || feedDue(at: now, allowance: allowance) > 0
    }

    /// How many trades (of a replay, frames) should have been sent by now and have not been.
    func feedDue(at now: Moment, allowance: Int) -> Int {
        min(feed.due(at: now), allowance)
    }

    /// Writes the next frame that is due; see ``Feed/writeFrame(_:at:allowance:)``.
    func writeFrame(_ frame: inout FrameWriter, at now: Moment, allowance: Int) -> Int? {
        if !replies.isEmpty {
            frame.writeError(replies.removeFirst())
            return 0
        }
        if isPingDue {
            isPingDue = false
            frame.writePing()
            return 0
        }
        return feed.writeFrame(&frame, at: now, allowance: allowance)
    }
}
