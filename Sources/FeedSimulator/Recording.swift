import Glibc
import ServiceKit
import TradeModel

/// Writes each frame that is sent as a line `{"at_ms":431.050,"time":"…","connection":1,"frame":"…"}`, a form that a replay
/// reads.
///
/// Lines wait in memory until ``flush()``: they are appended when a frame is queued, and flushed once it has been handed
/// to the socket's write.
struct Recording: ~Copyable {
    private let path: String
    private let file: UnsafeMutablePointer<FILE>
    private var lines = ByteWriter(capacity: 1 << 20)
    private var start: ContinuousClock.Instant?

    /// Creates the file, or empties it.
    init(path: String) throws(SystemError) {
        guard let file = fopen(path, "w") else { throw SystemError("cannot write '\(path)'") }
        self.path = path
        self.file = file
    }

    deinit {
        fclose(file)
    }

    /// How many bytes wait to be flushed.
    var pendingBytes: Int { lines.count }

    /// Notes a connect; the first one is what times are counted from.
    mutating func begin(at now: ContinuousClock.Instant) {
        if start == nil { start = now }
    }

    /// Appends a frame that a connection is sent.
    /// - Parameter fault: why a client cannot read it; nil when it can.
    mutating func append(
        _ frame: UnsafeRawBufferPointer, connection: Int, fault: String? = nil, at now: Moment
    ) {
        beginLine(connection, now)
        if let fault {
            lines.write(",\"fault\":")
            lines.writeJSONString(fault)
        }
        lines.write(",\"frame\":")
        lines.writeJSONString(frame)
        lines.write("}\n")
    }

    /// Appends what happened to a connection.
    mutating func append(event: String, connection: Int, at now: Moment) {
        beginLine(connection, now)
        lines.write(",\"event\":")
        lines.writeJSONString(event)
        lines.write("}\n")
    }

    private mutating func beginLine(_ connection: Int, _ now: Moment) {
        let (seconds, attoseconds) = (now.instant - (start ?? now.instant)).components
        let microseconds = Int128(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
        lines.write("{\"at_ms\":")
        lines.write(Decimal(coefficient: microseconds, scale: 3))
        lines.write(",\"time\":\"")
        lines.write(now.time)
        lines.write("\",\"connection\":")
        lines.write(Int64(connection))
    }

    /// Hands the lines to the system; after an error they are gone.
    mutating func flush() throws(SystemError) {
        guard lines.count > 0 else { return }
        let written = lines.withBytes { fwrite($0.baseAddress, 1, $0.count, file) }
        let isWhole = written == lines.count
        lines.clear()
        guard isWhole, fflush(file) == 0 else { throw SystemError("cannot write '\(path)'") }
    }
}
