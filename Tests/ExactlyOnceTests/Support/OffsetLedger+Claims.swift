import ExactlyOnce
import Postgres

extension OffsetLedger {
    /// Claims partitions of which none is halted.
    func claims(
        _ partitions: [Int32], _ connection: inout PostgresConnection, firstOffset: (Int32) throws -> Int64
    ) throws -> [Claim] {
        try claim(partitions, &connection, firstOffset: firstOffset).claims
    }
}
