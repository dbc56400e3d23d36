internal import CLibwebsockets
import Glibc

extension EventLoop {
    /// Where and how a server listens.
    struct Listener {
        var address: String
        var port: UInt16
        var maxConnections: Int
        var certificateFile: String?
        var privateKeyFile: String?
    }

    /// A loop that listens; port 0 takes any free port.
    static func listening(
        at listener: Listener, driver: any EventLoopDriver
    ) throws(WebSocketError) -> EventLoop {
        try checkFree(listener)
        return try EventLoop(driver: driver) { info, loop in
            info.port = Int32(listener.port)
            info.iface = loop.keep(listener.address)
            // libwebsockets adds the listener and the wake-up pipe, and keeps one place free.
            info.fd_limit_per_thread = UInt32(listener.maxConnections + 1)
            info.timeout_secs = 10
            info.options |= UInt64(LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND)
            if !listener.address.contains(":") { info.options |= UInt64(LWS_SERVER_OPTION_DISABLE_IPV6) }
            if let certificate = listener.certificateFile, let key = listener.privateKeyFile {
                info.options |= UInt64(LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT)
                info.ssl_cert_filepath = loop.keep(certificate)
                info.ssl_private_key_filepath = loop.keep(key)
            }
        }
    }

    /// The port that a listening loop listens on, before it has ended.
    var port: UInt16 {
        UInt16(truncatingIfNeeded: lws_get_vhost_listen_port(vhost))
    }

    /// Binds a socket of its own first, because libwebsockets tells its log alone why it could not.
    private static func checkFree(_ listener: Listener) throws(WebSocketError) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(listener.address, "\(listener.port)", &hints, &list) == 0, let entry = list?.pointee else {
            throw WebSocketError(
                code: .cannotListen, message: "\(listener.address) is not a numeric address to listen on")
        }
        defer { freeaddrinfo(list) }
        let socket = socket(entry.ai_family, entry.ai_socktype, 0)
        defer { close(socket) }
        var yes: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard bind(socket, entry.ai_addr, entry.ai_addrlen) == 0, listen(socket, 1) == 0 else {
            throw WebSocketError(
                code: .cannotListen,
                message:
                    "cannot listen on \(listener.address) port \(listener.port): \(String(cString: strerror(errno)))"
                    + "; stop the program that uses it or configure another port")
        }
    }
}
