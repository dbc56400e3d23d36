import Glibc

/// A numeric address and a port to listen on, such as `127.0.0.1:9101` or `[::1]:0`.
package struct ListenAddress: SettingValue, Hashable, CustomStringConvertible {
    package static let typeName = "host:port such as 127.0.0.1:9101 (a numeric host)"

    /// Numeric, IPv4 or IPv6, the latter without brackets.
    package let host: String
    /// 0 for any free port.
    package let port: UInt16

    /// An address that is known to be one.
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    package init?(settingText text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        let written = text[..<colon]
        let isBracketed = written.hasPrefix("[") && written.hasSuffix("]")
        let host = isBracketed ? String(written.dropFirst().dropLast()) : String(written)
        var address = in6_addr()
        guard inet_pton(isBracketed ? AF_INET6 : AF_INET, host, &address) == 1 else { return nil }
        self.init(host: host, port: port)
    }

    /// The form that a user writes.
    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
