import Foundation
import Postgres
import Synchronization
import Testing

/// A new connection to the shared server.
func connect(_ more: String = "") throws -> PostgresConnection {
    try connect(to: testServer(), more)
}

func connect(to server: TestServer, _ more: String = "") throws -> PostgresConnection {
    try PostgresConnection(PostgresConfiguration("\(server.conninfo) \(more)", applicationName: "tests"))
}

/// The error that `body` must throw.
func failure(_ body: () throws -> Void) throws -> PostgresError {
    do {
        try body()
    } catch let error as PostgresError {
        return error
    }
    throw TestFailure("no error was thrown")
}

/// Asks until `condition` holds, for ten seconds at most.
func eventually(_ what: String, _ condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while try !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("not within ten seconds: \(what)") }
        usleep(5_000)
    }
}

/// Work on a thread of its own, whose outcome is awaited.
final class Worker<Value: Sendable>: Sendable {
    private let outcome = Mutex<Result<Value, any Error>?>(nil)

    init(_ body: @escaping @Sendable () throws -> Value) {
        Thread.detachNewThread {
            let result = Result { try body() }
            self.outcome.withLock { $0 = result }
        }
    }

    func value() throws -> Value {
        try eventually("a thread ends") { outcome.withLock { $0 != nil } }
        return try outcome.withLock { $0 }!.get()
    }
}

/// A generator whose numbers are the same every time.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
