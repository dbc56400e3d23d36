import Glibc
import Synchronization

/// Any bytes behind the upgrade, cut into any segments: the real client on libwebsockets, over TCP, against a plain reading of
/// the protocol. Messages and the way that the connection ends must be the same.
///
/// The input is four bytes of settings, of which the first counts, and then a server's frames. Masked frames, which
/// libwebsockets 4.1.6 garbles, are left out.
@c(LLVMFuzzerTestOneInput)
package func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count >= 4 else { return -1 }
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let expected = Conversation(reading: input[4...]) else { return -1 }
    let got = Harness.shared.run(Script(settings: input[0], wire: Array(input[4...])))
    guard got == expected else { fatalError("expected \(expected)\ngot \(got)") }
    return 0
}

/// How one connection is to go on the server's side.
struct Script: Sendable {
    var settings: UInt8
    var wire: [UInt8]

    /// The bytes of a segment; 0 for all in one.
    var segment: Int { Int(settings & 0x1F) }
    /// Whether the first frames come in one segment with the answer to the upgrade.
    var startsWithAnswer: Bool { settings & 0x20 != 0 }
    /// Whether the client pauses with each message.
    var pauses: Bool { settings & 0x40 != 0 }
}

/// One client, which connects anew for each input, and its peer.
final class Harness: Sendable {
    static let shared = Harness()

    private let script = Mutex(Script(settings: 0, wire: []))
    private let outcome = Mutex<Conversation?>(nil)
    private nonisolated(unsafe) let done = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let client: WebSocketClient

    private init() {
        sem_init(done, 0, 0)
        let peer = Peer()
        var configuration = WebSocketClientConfiguration(url: try! WebSocketURL("ws://127.0.0.1:\(peer.port)/"))
        configuration.handshakeTimeout = .seconds(10)
        configuration.maxMessageBytes = Conversation.messageBytes
        configuration.maxFrameBytes = Conversation.frameBytes
        configuration.maxFragments = Conversation.fragments
        client = try! WebSocketClient(configuration, handler: Handler())
        detach { [client] in client.run() }
        detach { [self] in peer.serve { script.withLock { $0 } } }
    }

    func run(_ next: Script) -> Conversation {
        script.withLock { $0 = next }
        client.wake()
        // An end that does not come is libFuzzer's to notice; its alarm interrupts the waiting.
        while sem_wait(done) != 0 {}
        return outcome.withLock { $0! }
    }

    private final class Handler: WebSocketClientHandler {
        private var messages: [[UInt8]] = []
        private var pauses = false

        func started(_ client: WebSocketClient) {}
        func woken(_ client: WebSocketClient) {
            messages = []
            pauses = Harness.shared.script.withLock { $0.pauses }
            client.connect()
        }
        func opened(_ client: WebSocketClient) {}
        func message(_ bytes: UnsafeRawBufferPointer, _ client: WebSocketClient) {
            messages.append(Array(bytes))
            guard pauses else { return }
            client.pauseReceiving()
            client.schedule(after: .microseconds(50), token: 1)
        }
        func timer(_ token: Int, _ client: WebSocketClient) { client.resumeReceiving() }
        func closed(_ closure: WebSocketClosure, _ client: WebSocketClient) {
            Harness.shared.outcome.withLock { $0 = Conversation(messages: messages, cause: closure.cause) }
            sem_post(Harness.shared.done)
        }
    }
}

/// Runs a closure on a thread of its own.
func detach(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let entry: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
    }
    var thread = pthread_t()
    guard pthread_create(&thread, nil, entry, Unmanaged.passRetained(Box(body)).toOpaque()) == 0 else {
        fatalError("no thread")
    }
    pthread_detach(thread)
}
