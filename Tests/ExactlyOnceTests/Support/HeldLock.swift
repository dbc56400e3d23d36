import DatabaseTestSupport
import Postgres
import Synchronization

/// A lock on the table `stored`, under which no reader stores anything.
final class HeldLock: Sendable {
    private let connection: Mutex<PostgresConnection?>
    private let since = ContinuousClock.now

    init(_ database: TestDatabase) throws {
        var connection = try database.connect()
        try connection.begin()
        try connection.execute("LOCK TABLE stored IN EXCLUSIVE MODE")
        self.connection = Mutex(consume connection)
    }

    /// How long it has been held.
    var age: Duration { ContinuousClock.now - since }

    func release() throws {
        try connection.withLock { connection in
            guard var held = connection.take() else { return }
            try held.commit()
        }
    }
}
