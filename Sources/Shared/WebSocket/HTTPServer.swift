internal import CLibwebsockets

/// A small HTTP server for metrics and health: GET and HEAD, one response a connection, a loop of its own.
///
/// `run()` blocks the thread that calls it; `stop()` may come from any thread. Everything else is fixed at creation,
/// which makes the unchecked `Sendable` safe.
package final class HTTPServer: @unchecked Sendable {
    private var loop: EventLoop! = nil
    private let routes: @Sendable (String) -> HTTPResponse?
    /// The port that the server listens on.
    package private(set) var port: UInt16 = 0

    /// Listens on an address; port 0 takes any free port. Requests are answered once ``run()`` is called.
    ///
    /// - Parameters:
    ///   - address: a numeric address of this machine.
    ///   - maxConnections: how many connections there may be at a time; more wait.
    ///   - routes: the response for a path without its query, nil for 404. Called on the loop thread; must be quick.
    package init(
        address: String = "127.0.0.1", port: UInt16, maxConnections: Int = 32,
        routes: @escaping @Sendable (String) -> HTTPResponse?
    ) throws(WebSocketError) {
        self.routes = routes
        loop = try .listening(
            at: .init(address: address, port: port, maxConnections: maxConnections), driver: self)
        self.port = loop.port
    }

    deinit {
        loop?.discard()
    }

    /// Answers requests on the calling thread until ``stop()``. Once for each server.
    package func run() { loop.run() }

    /// Makes ``run()`` return soon. Any thread.
    package func stop() { loop.stop() }

    private func respond(_ wsi: OpaquePointer) -> Int32 {
        let head = UpgradeRequest.text(wsi, WSI_TOKEN_HEAD_URI)
        guard let path = head ?? UpgradeRequest.text(wsi, WSI_TOKEN_GET_URI) else {
            return HTTPResponse(status: 405, headers: [("Allow", "GET, HEAD")], text: "only GET and HEAD\n").write(
                to: wsi)
        }
        let response = routes(path) ?? HTTPResponse(status: 404, text: "not found\n")
        return response.write(to: wsi, withBody: head == nil)
    }
}

extension HTTPServer: EventLoopDriver {
    func loopStarted() {}
    func loopWoken(_ reasons: WakeReasons) {}
    func loopTimer(_ token: Int) {}
    func loopStopped() {}

    func handle(_ event: LoopEvent) -> Int32 {
        switch event.reason {
        case LWS_CALLBACK_HTTP, LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
            // A wish to upgrade may be ignored, and is.
            return respond(event.wsi)
        default:
            return 0
        }
    }
}
