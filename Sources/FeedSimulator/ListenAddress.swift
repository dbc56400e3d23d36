import ServiceKit

/// A numeric address and a port to listen on, such as `127.0.0.1:8765` or `[::1]:0`.
struct ListenAddress: SettingValue, Equatable {
    /// Without brackets.
    let host: String
    /// 0 for any free port.
    let port: UInt16

    static let typeName = "a numeric address and a port, such as 127.0.0.1:8765"

    init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    init?(settingText text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    /// The address for clients, with the port that the server got.
    func url(port: UInt16) -> String {
        "ws://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }
}
