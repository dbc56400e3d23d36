import ExactlyOnce
import Postgres

extension OffsetLedger {
    /// Moves positions on at once, where a reader does it with its COMMIT: for what is to happen between the two.
    func advanceNow(_ advances: [Advance], _ connection: inout PostgresConnection) throws {
        try advance(advances, &connection)
        do {
            try connection.execute("")
        } catch {
            throw LedgerError(fencing: error) ?? error
        }
    }
}
