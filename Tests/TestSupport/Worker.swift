import Foundation
import Synchronization

/// Work on a thread of its own, whose outcome is awaited.
package final class Worker<Value: Sendable>: Sendable {
    private let outcome = Mutex<Result<Value, any Error>?>(nil)

    package init(_ body: @escaping @Sendable () throws -> Value) {
        Thread.detachNewThread {
            let result = Result { try body() }
            self.outcome.withLock { $0 = result }
        }
    }

    package var isOver: Bool { outcome.withLock { $0 != nil } }

    /// Blocks until the work is over; throws what it threw.
    package func value(within limit: Duration = hangLimit) throws -> Value {
        try eventually("a thread ends", within: limit) { isOver }
        return try outcome.withLock { $0 }!.get()
    }
}
