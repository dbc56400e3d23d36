internal import CLibwebsockets
import Glibc
import Synchronization

/// One look-up of a host's name on a thread of its own: `getaddrinfo` blocks, for half a minute and more when name servers
/// are silent, and the loop has deadlines to keep.
final class NameLookup: Sendable {
    /// The numeric addresses of a host in the resolver's order, or the resolver's own words.
    enum Outcome: Sendable, Equatable {
        case addresses([String])
        case failed(String)
    }

    private let host: String
    private let resolve: @Sendable (String) -> Outcome
    private let done: @Sendable () -> Void
    private let outcome = Mutex<Outcome?>(nil)

    /// Starts looking up; `done` is called once, as a rule on the other thread, when ``take()`` has something.
    init(host: String, _ resolve: @escaping @Sendable (String) -> Outcome, done: @escaping @Sendable () -> Void) {
        self.host = host
        self.resolve = resolve
        self.done = done
        var thread = pthread_t()
        let job = Unmanaged.passRetained(self)
        let status = pthread_create(&thread, nil, Self.work, job.toOpaque())
        if status == 0 {
            pthread_detach(thread)
        } else {
            job.release()
            finish(.failed("no thread can be started: \(String(cString: strerror(status)))"))
        }
    }

    /// The outcome, once, when there is one.
    func take() -> Outcome? {
        outcome.withLock { $0.take() }
    }

    private func finish(_ result: Outcome) {
        outcome.withLock { $0 = result }
        done()
    }

    private static let work: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        let lookup = Unmanaged<NameLookup>.fromOpaque(argument!).takeRetainedValue()
        lookup.finish(lookup.resolve(lookup.host))
        return nil
    }

    /// Asks `getaddrinfo`; blocks.
    @Sendable static func bySystem(_ host: String) -> Outcome {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &list)
        guard status == 0 else { return .failed(String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var next = list
        while let entry = next?.pointee {
            let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { buffer in
                getnameinfo(
                    entry.ai_addr, entry.ai_addrlen, buffer.baseAddress, socklen_t(buffer.count), nil, 0, NI_NUMERICHOST
                ) == 0 ? String(cString: buffer.baseAddress!) : nil
            }
            if let text { addresses.append(text) }
            next = entry.ai_next
        }
        return addresses.isEmpty ? .failed("the name has no address") : .addresses(addresses)
    }
}
