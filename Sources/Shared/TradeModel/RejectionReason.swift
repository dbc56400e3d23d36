/// Why a trade or an event was not accepted. The raw value is what stands in tables, metrics and logs.
package enum RejectionReason: String, Error, CaseIterable, Sendable {
    /// The text is no JSON, or ends in the middle.
    case malformedJSON = "malformed_json"
    /// An item, or a whole record, is JSON but not an object.
    case notAnObject = "not_an_object"
    /// A field that every trade has is missing.
    case missingField = "missing_field"
    /// A field has another JSON type than it should.
    case wrongType = "wrong_type"
    /// A number has more than 38 digits, or more than 38 places behind the point.
    case numberOutOfRange = "number_out_of_range"
    /// The price is zero or below.
    case priceNotPositive = "price_not_positive"
    /// The volume is below zero.
    case volumeNegative = "volume_negative"
    /// A time is before 1970 or after 9999, or is no date at all.
    case timeOutOfRange = "time_out_of_range"
    /// The symbol or the source is empty, longer than 47 bytes, or no valid text.
    case badText = "bad_text"
    /// An event is of no kind that is known.
    case unknownKind = "unknown_kind"
    /// More sources than can be told apart have written to the partition.
    case tooManySources = "too_many_sources"
    /// PostgreSQL refused the row.
    case refusedByDatabase = "refused_by_database"
}
