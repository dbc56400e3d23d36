import WebSocket

/// What the connection to the feed asks of its WebSocket client; a test puts another in its place. Loop thread.
protocol FeedLink: AnyObject {
    /// Begins to connect.
    func connect()
    /// Queues a message; false when there is no room for it.
    func send(_ text: String) -> Bool
    /// Has a timer's token called back after a delay.
    func schedule(after delay: Duration, token: Int)
    /// Stops the timer with a token.
    func cancel(token: Int)
    /// Stops reading: what the feed sends waits in the kernel's buffers, and then at the feed.
    func pauseReceiving()
    /// Reads on.
    func resumeReceiving()
    /// Ends the client for good.
    func stop()
}

extension WebSocketClient: FeedLink {}
