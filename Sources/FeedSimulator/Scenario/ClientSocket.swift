import Glibc
import ServiceKit

/// A client's blocking socket, with TLS on it where it is wanted. One thread; only ``shutDown()`` may come from others.
final class ClientSocket {
    /// How long an orderly end waits for the client's.
    private static let lingerTime = Duration.seconds(2)

    /// POLLRDHUP, a GNU extension that Swift does not import.
    private static let peerEnd: Int32 = 0x2000
    /// SIOCOUTQNSD, of Linux' own headers.
    private static let unsentBytes: UInt = 0x894B

    private let descriptor: Int32
    private var tls: TLSSession?
    private var cut: ScenarioStep.Cut?
    /// What the client has sent and nobody has taken.
    var received: [UInt8] = []

    /// Takes over the descriptor of an accepted connection.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        set(Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1))
    }

    /// Limits what waits in the kernel to be sent.
    func setBuffer(_ bytes: Int) {
        set(SOL_SOCKET, SO_SNDBUF, Int32(bytes))
    }

    /// Limits how long a client may take nothing while something waits for it.
    func setPatience(_ time: Duration) {
        let (seconds, attoseconds) = time.components
        set(
            SOL_SOCKET, SO_SNDTIMEO,
            timeval(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000)))
    }

    /// Has what is sent from now on cut into segments; nil for not.
    func setCut(_ cut: ScenarioStep.Cut?) {
        self.cut = cut
    }

    private func set<Value: BitwiseCopyable>(_ level: Int32, _ option: Int32, _ value: Value) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Value>.size))
    }

    /// Does the TLS handshake; waits for the client as long as it takes.
    func begin(_ session: TLSSession) throws(ConnectionEnd) {
        tls = session
        while !session.isReady { try receive(until: nil) }
    }

    /// Sends bytes; waits until the kernel has taken all of them.
    func send(_ bytes: [UInt8]) throws(ConnectionEnd) {
        guard let tls else { return try write(bytes[...]) }
        tls.seal(bytes)
        try write(tls.takeOutput()[...])
    }

    /// Sends the first half of what stands for the bytes on the wire, and the end of the stream.
    func sendHalf(_ bytes: [UInt8]) throws(ConnectionEnd) {
        tls?.seal(bytes)
        let wire = tls?.takeOutput() ?? bytes
        try write(wire[..<(wire.count / 2)])
    }

    private func write(_ bytes: ArraySlice<UInt8>) throws(ConnectionEnd) {
        guard let cut else { return try writeWhole(bytes) }
        var rest = bytes
        while !rest.isEmpty {
            // The kernel would join a piece to what it has not sent yet, be it the end of another message.
            while hasUnsent { try rests(for: .milliseconds(1)) }
            try writeWhole(rest.prefix(cut.bytes))
            rest = rest.dropFirst(cut.bytes)
            if !rest.isEmpty { try rests(for: cut.pause) }
        }
    }

    private var hasUnsent: Bool {
        var bytes: Int32 = 0
        return ioctl(descriptor, Self.unsentBytes, &bytes) == 0 && bytes > 0
    }

    private func writeWhole(_ bytes: ArraySlice<UInt8>) throws(ConnectionEnd) {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                throw ConnectionEnd("reset, since the client took nothing for too long", .reset)
            } else if errno != EINTR {
                throw .clientLeft
            }
        }
    }

    /// Waits for bytes of the client's and takes them; returns without any when the time has come. nil waits for ever.
    func receive(until deadline: ContinuousClock.Instant?) throws(ConnectionEnd) {
        guard wait(for: POLLIN, until: deadline) else { return }
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { throw .clientLeft }
        guard let tls else { return received += chunk[..<count] }
        let result = Result { () throws(TLSFailure) in try tls.open(Array(chunk[..<count])) }
        // An alert says what is wrong, too.
        try write(tls.takeOutput()[...])
        switch result {
        case .success(let plain): received += plain
        case .failure(let failure): throw ConnectionEnd("TLS failed: \(failure.description)")
        }
    }

    /// Neither reads nor writes for a time; nil for ever. Ends when the client has left.
    func rests(for time: Duration?) throws(ConnectionEnd) {
        if wait(for: Self.peerEnd, until: time.map { .now + $0 }) { throw .clientLeft }
    }

    /// Whether something has happened before the time has come.
    private func wait(for events: Int32, until deadline: ContinuousClock.Instant?) -> Bool {
        while true {
            var timeout: Int32 = -1
            if let deadline {
                // Rounded up, so that nobody asks again and again within the last millisecond.
                let left = max(.zero, deadline - .now) / .milliseconds(1)
                timeout = Int32(min(left.rounded(.up), 1_000_000_000))
            }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let count = poll(&entry, 1, timeout)
            if count > 0 { return true }
            if count == 0 { return false }
        }
    }

    /// Does what an end says, and gives the descriptor back; nothing may be done with the socket afterwards.
    func close(_ manner: ConnectionEnd.Manner) {
        switch manner {
        case .abandoned: break
        case .reset: set(SOL_SOCKET, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
        case .endOfStream: endStream()
        case .orderly:
            tls?.close()
            try? write((tls?.takeOutput() ?? [])[...])
            endStream()
        }
        Glibc.close(descriptor)
    }

    /// Ends the stream; waits a moment for the client to do the same, since with something unread the kernel would reset
    /// the connection, and what was sent would not arrive.
    private func endStream() {
        shutdown(descriptor, Int32(SHUT_WR))
        let deadline = ContinuousClock.now + Self.lingerTime
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while wait(for: POLLIN, until: deadline), recv(descriptor, &chunk, chunk.count, 0) > 0 {}
    }

    /// Ends both directions, which wakes the connection's thread. Any thread, until ``close(_:)``.
    static func shutDown(_ descriptor: Int32) {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }
}
