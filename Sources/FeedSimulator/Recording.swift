import Glibc
import ServiceKit
import TradeModel

/// Writes each frame that is sent as a line `{"at_ms":431.050,"frame":"…"}`, the form that a replay reads.
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

    mutating func append(_ frame: UnsafeRawBufferPointer, at now: ContinuousClock.Instant) {
        let (seconds, attoseconds) = (now - (start ?? now)).components
        let microseconds = Int128(seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
        lines.write("{\"at_ms\":")
        lines.write(Decimal(coefficient: microseconds, scale: 3))
        lines.write(",\"frame\":")
        lines.writeJSONString(frame)
        lines.write("}\n")
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
