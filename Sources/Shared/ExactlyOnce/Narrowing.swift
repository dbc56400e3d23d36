/// Finds the row for which the database refuses whole batches: by smaller and smaller ones, down to a single record.
///
/// Nothing of a refused batch is kept: it is read again from the topic.
struct Narrowing {
    private static let wide = Int.max
    /// Larger batches than any: from here on there is no limit any more.
    private static let enough = 100_000

    /// How many records a batch may hold.
    private(set) var limit = wide
    private var condemned: Int64?

    /// Whether the record with this row id was refused on its own.
    @inline(__always)
    func condemns(_ id: Int64) -> Bool { condemned == id }

    /// A batch of so many records was refused.
    /// - Parameter only: the row id of its first record, which is to blame when there is no other.
    /// - Returns: false when that has been condemned already, so that something else is wrong.
    mutating func narrow(from records: Int, to only: Int64?) -> Bool {
        if records > 1 {
            limit = records / 2
            return true
        }
        guard let only, condemned != only else { return false }
        limit = 1
        condemned = only
        return true
    }

    /// A batch was stored: the next may be twice as large.
    mutating func noteStored() {
        guard limit != Self.wide else { return }
        limit = limit >= Self.enough ? Self.wide : limit * 2
    }
}
