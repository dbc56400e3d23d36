/// Rows for COPY in binary format, in memory that is kept from batch to batch.
///
/// A row is `beginRow`, one call on `fields` a column, `endRow`; a row that turns out bad is taken back by `discardRow`.
/// The header and the trailer are `PostgresConnection.copyIn`'s. One owner; may move between threads.
package struct CopyBuffer: ~Copyable, Sendable {
    /// What goes before the first row.
    package static let header: [UInt8] =
        Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0x00] + [UInt8](repeating: 0, count: 8)
    /// What goes behind the last row.
    package static let trailer: [UInt8] = [0xFF, 0xFF]

    /// Takes the columns of the row that was begun, in the table's order.
    package var fields: FieldBuffer
    /// The complete rows.
    package private(set) var rowCount = 0
    private var rowStart = 0
    private var stamps: [Int] = []
    private var columns = 0

    /// An empty buffer; `capacity` bytes are allocated now, more when needed.
    package init(capacity: Int = 1 << 16) {
        fields = FieldBuffer(capacity: capacity)
    }

    /// The bytes of the rows.
    package var byteCount: Int { fields.byteCount }

    /// Begins a row of so many columns.
    package mutating func beginRow(columns: Int) {
        rowStart = fields.byteCount
        self.columns = columns
        fields.truncate(to: rowStart)
        fields.append(Int16(columns))
    }

    /// Ends the row; as many fields as announced must have been written.
    package mutating func endRow() {
        precondition(fields.fieldCount == columns, "a row of \(columns) columns was given \(fields.fieldCount) fields")
        rowCount += 1
    }

    /// Takes back the row that was begun and not ended.
    package mutating func discardRow() {
        fields.truncate(to: rowStart)
        while let last = stamps.last, last >= rowStart { stamps.removeLast() }
    }

    /// Writes a `timestamptz` field whose value is known only when the rows are sent: `stamp` enters it.
    package mutating func stampedTimestamptz() {
        stamps.append(fields.byteCount)
        fields.int8(0)
    }

    /// Enters the moment into all fields left open by `stampedTimestamptz`.
    package mutating func stamp(microsecondsSince1970: Int64) throws(PostgresError) {
        for place in stamps { try fields.storeTimestamptz(microsecondsSince1970: microsecondsSince1970, at: place) }
    }

    /// Empties the buffer and keeps its memory.
    package mutating func reset() {
        fields.truncate(to: 0)
        rowCount = 0
        stamps.removeAll(keepingCapacity: true)
    }

    /// Appends the rows to arrays, one a column.
    package func append(to columns: [BinaryArray]) {
        let bytes = fields.bytes
        var place = 0
        func next<Integer: FixedWidthInteger & BitwiseCopyable>(_: Integer.Type) -> Integer {
            defer { place += MemoryLayout<Integer>.size }
            return Integer(bigEndian: bytes.loadUnaligned(fromByteOffset: place, as: Integer.self))
        }
        for _ in 0..<rowCount {
            precondition(next(Int16.self) == columns.count, "there is not an array for each column")
            for column in columns {
                let count = Int(next(Int32.self))
                guard count >= 0 else {
                    column.elements.null()
                    continue
                }
                column.elements.bytes(UnsafeRawBufferPointer(rebasing: bytes[place..<place + count]))
                place += count
            }
        }
    }

    /// Lends the bytes of the rows, without header and trailer.
    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(fields.bytes)
    }
}
