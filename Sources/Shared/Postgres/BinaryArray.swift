/// A one-dimensional array parameter in binary format, in memory that is kept from batch to batch: for statements that
/// merge many rows at once with `unnest($1, $2 …)`.
///
/// A class, so that the parameters of a running statement keep its memory. Not thread-safe.
package final class BinaryArray {
    /// The type of the elements.
    package enum Element: Sendable {
        case bool, int4, int8, text, bytea, numeric, timestamptz

        var oid: UInt32 {
            switch self {
            case .bool: 16
            case .int4: 23
            case .int8: 20
            case .text: 25
            case .bytea: 17
            case .numeric: 1700
            case .timestamptz: 1184
            }
        }

        var arrayOID: UInt32 {
            switch self {
            case .bool: 1000
            case .int4: 1007
            case .int8: 1016
            case .text: 1009
            case .bytea: 1001
            case .numeric: 1231
            case .timestamptz: 1185
            }
        }
    }

    private static let headerSize = 20

    /// The type of the elements.
    package let element: Element
    /// Takes the elements, one call each, of the array's type.
    package var elements: FieldBuffer

    /// An empty array.
    package init(of element: Element) {
        self.element = element
        elements = FieldBuffer(capacity: 1 << 10)
        elements.append(Int32(1))  // dimensions
        elements.append(Int32(0))  // "has NULLs", which the server finds out by itself
        elements.append(element.oid)
        elements.append(Int32(0))  // length, see seal
        elements.append(Int32(1))  // lower bound
    }

    /// The number of elements.
    package var count: Int { elements.fieldCount }

    /// Empties the array and keeps its memory.
    package func reset() {
        elements.truncate(to: Self.headerSize)
    }

    /// Enters the number of elements and lends the bytes, which stay where they are until the next change.
    func seal() -> UnsafeRawBufferPointer {
        elements.store(Int32(count), at: 12)
        return elements.bytes
    }
}
