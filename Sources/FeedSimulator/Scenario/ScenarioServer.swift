import Glibc
import ServiceKit
import TradeModel

/// Serves a scenario: the simulated market with faults, on plain sockets with a thread for each connection.
///
/// It listens from its creation on, and serves until it is stopped.
final class ScenarioServer: Service {
    let name = "feed"
    /// Where clients connect to, such as `ws://127.0.0.1:8765`; `wss` when the first connection begins with TLS.
    let address: String
    private let context: ScenarioContext
    private let listener: Int32
    private let addressFile: String?
    private let logger: Logger
    private let failure: ConditionLock<SystemError?>

    /// Listens, reads the certificates, and creates the recording.
    /// - Throws: `ConfigurationError` when a certificate cannot be used, `SystemError` when the address cannot be used or
    ///   the recording cannot be written.
    init(_ scenario: Scenario, _ options: FeedOptions, logger: Logger) throws {
        let identities = try TLSIdentity.all(of: scenario)
        let (listener, port) = try Self.listen(on: options.listen)
        let failure = ConditionLock<SystemError?>(nil)
        do {
            let recorder = try ScenarioRecorder(path: options.recordFile) { error in
                failure.withLock { $0 = $0 ?? error }
                shutdown(listener, Int32(SHUT_RDWR))
            }
            context = ScenarioContext(
                scenario: scenario, options: options, identities: identities, recorder: recorder, logger: logger)
        } catch {
            close(listener)
            throw error
        }
        self.listener = listener
        self.failure = failure
        let isSecure = scenario.lines(ofConnection: 1).contains { scenario.files($0.step) != nil }
        address = "\(isSecure ? "wss" : "ws")://\(ListenAddress(host: options.listen.host, port: port))"
        addressFile = options.addressFile
        self.logger = logger
    }

    deinit {
        close(listener)
    }

    /// Serves. A stop ends every connection.
    /// - Throws: `SystemError` when the address or the recording cannot be written.
    func run(until shutdown: ShutdownSignal) throws {
        if let addressFile { try writeTextFile(address + "\n", to: addressFile) }
        logger.info("listening", ["address": address])
        shutdown.onRequest { [listener] in _ = Glibc.shutdown(listener, Int32(SHUT_RDWR)) }
        var number = 0
        while !shutdown.isRequested, failure.withLock({ $0 == nil }) {
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else {
                // The stop; or no descriptor is free, and it is tried again in a moment.
                usleep(1000)
                continue
            }
            number += 1
            serve(number, descriptor)
        }
        context.clients.stop()
        if let error = failure.withLock({ $0 }) { throw error }
    }

    private func serve(_ number: Int, _ descriptor: Int32) {
        guard context.clients.add(number, descriptor) else {
            close(descriptor)
            return
        }
        ServiceThread.start("client \(number)") { [context] in
            ScenarioConnection(number, descriptor, context).run()
        }
    }

    private static func listen(on address: ListenAddress) throws(SystemError) -> (descriptor: Int32, port: UInt16) {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address.host, String(address.port), &hints, &found) == 0, let found else {
            throw SystemError("cannot listen on \(address)")
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(found.pointee.ai_family, found.pointee.ai_socktype, 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard descriptor >= 0, bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0,
            Glibc.listen(descriptor, 128) == 0
        else {
            let error = SystemError("cannot listen on \(address)")
            close(descriptor)
            throw error
        }
        // The port has the same place in the addresses of both families.
        var bound = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        _ = withUnsafeMutablePointer(to: &bound) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        return (descriptor, UInt16(bigEndian: bound.sin6_port))
    }
}

/// What all connections of a scenario share.
struct ScenarioContext: Sendable {
    let scenario: Scenario
    let options: FeedOptions
    let identities: [CertificateFiles: TLSIdentity]
    let recorder: ScenarioRecorder
    let logger: Logger
    let clients = ScenarioClients()
}
