/// A value for `$1`, `$2` … of a statement.
package enum PostgresParameter {
    /// NULL, of whatever type the statement expects.
    case null
    /// Text, read by the server as whatever type the statement expects.
    case text(String)
    /// A whole number, read by the server as whatever type the statement expects.
    case integer(Int64)
    /// A `bytea`.
    case bytes([UInt8])
    /// An array in binary format, sent from its own memory.
    case array(BinaryArray)
}

extension PostgresParameter: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(nilLiteral: ()) { self = .null }
}

/// Parameters as libpq takes them: parallel arrays, and one piece of memory for the values that need a copy.
struct ParameterList {
    private enum Value {
        case null
        case copied(offset: Int)
        case array(BinaryArray)
    }

    private(set) var types: [UInt32] = []
    private(set) var lengths: [Int32] = []
    private(set) var formats: [Int32] = []
    private var values: [Value] = []
    /// Never empty, so that a value of no bytes has an address and is not taken for NULL.
    private var memory: [UInt8] = [0]

    init(_ parameters: [PostgresParameter]) throws(PostgresError) {
        for parameter in parameters {
            switch parameter {
            case .null:
                append(.null)
            case .text(let text):
                guard !text.utf8.contains(0) else { throw .nulCharacter }
                append(.copied(offset: copy(text.utf8)))
            case .integer(let number):
                append(.copied(offset: copy(String(number).utf8)))
            case .bytes(let bytes):
                append(.copied(offset: copy(bytes)), type: 17, length: bytes.count, binary: true)
            case .array(let array):
                append(.array(array), type: array.element.arrayOID, length: array.seal().count, binary: true)
            }
        }
    }

    private mutating func append(_ value: Value, type: UInt32 = 0, length: Int = 0, binary: Bool = false) {
        values.append(value)
        types.append(type)
        lengths.append(Int32(length))
        formats.append(binary ? 1 : 0)
    }

    /// Copies bytes with a NUL behind them, which ends a value in text format.
    private mutating func copy(_ bytes: some Collection<UInt8>) -> Int {
        let offset = memory.count
        memory.append(contentsOf: bytes)
        memory.append(0)
        return offset
    }

    /// Lends the addresses of the values, in order.
    func withValues<Result>(_ body: ([UnsafePointer<CChar>?]) -> Result) -> Result {
        memory.withUnsafeBytes { memory in
            let addresses = values.map { value -> UnsafePointer<CChar>? in
                switch value {
                case .null: nil
                case .copied(let offset): memory.baseAddress!.assumingMemoryBound(to: CChar.self) + offset
                case .array(let array): array.seal().baseAddress?.assumingMemoryBound(to: CChar.self)
                }
            }
            return withExtendedLifetime(values) { body(addresses) }
        }
    }
}
