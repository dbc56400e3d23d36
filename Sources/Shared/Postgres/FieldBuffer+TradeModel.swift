package import TradeModel

extension FieldBuffer {
    /// A `numeric` with exactly the decimal's digits and places.
    package mutating func numeric(_ value: Decimal) throws(PostgresError) {
        try numeric(coefficient: value.coefficient, scale: Int(value.scale))
    }

    /// A `numeric` with exactly the sum's digits and places.
    package mutating func numeric(_ sum: ExactSum) throws(PostgresError) {
        switch sum.value {
        case .small(let coefficient, let scale):
            try numeric(coefficient: coefficient, scale: scale)
        case .large(let isNegative, let magnitude, let scale):
            try numeric(magnitude: magnitude.span, isNegative: isNegative, scale: scale)
        }
    }

    /// A `timestamptz`.
    package mutating func timestamptz(_ time: Timestamp) throws(PostgresError) {
        try timestamptz(microsecondsSince1970: time.microseconds)
    }
}
