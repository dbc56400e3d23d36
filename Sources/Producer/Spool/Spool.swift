import Glibc
import Synchronization
import TradeModel

/// The records of one topic on their way from the feed's thread to the sending one, in files of a directory.
///
/// Everything that is sent goes through here, in order, whether Kafka is there or not: then an outage, a kill and a restart are
/// no special cases. What Kafka has acknowledged is removed, a file at a time. One `SpoolWriter` and one `SpoolReader` use it,
/// each on a thread of its own; they meet in a count, and take a lock only where a file begins or ends.
final class Spool: Sendable {
    /// What a spool takes on disk.
    struct Limits {
        var bytes: Int
        var segmentBytes = 4 << 20
    }

    /// Records that a former run has left, and that are read first.
    let recovered: Int
    /// The highest number that was ever written here; nil in a new spool.
    let lastSequence: Int64?
    /// When the feed was heard last; nil in a new spool.
    let lastSign: Timestamp?
    /// What could not be read any more, in words.
    let damage: [String]

    let segmentBytes: Int
    private let directory: String
    private let maximumSegments: Int
    /// How many files must be free for `hasRoom`: together more than one message of the feed can fill.
    private static let spareSegments = 4

    /// The files that are there, the oldest first.
    private let numbers: Mutex<[Int]>
    private let count: Atomic<Int>
    /// Records that can be read, those of former runs included.
    private let writtenCount: Atomic<Int>
    private let isAwaited = Atomic(false)
    private let waker = Mutex<Waker?>(nil)
    /// The last attempt to make a file failed.
    private let isRefused = Atomic(false)

    /// Opens a directory, which is there and belongs to this process alone, and looks through what it holds.
    init(directory: String, limits: Limits) throws(SpoolError) {
        self.directory = directory
        segmentBytes = limits.segmentBytes
        maximumSegments = max(limits.bytes / limits.segmentBytes, 2 * Self.spareSegments)
        var inventory = Inventory()
        var kept: [Int] = []
        for number in try Self.list(directory) {
            if try inventory.take(Self.path(directory, number), number) { kept.append(number) }
        }
        recovered = inventory.records
        lastSequence = inventory.lastSequence
        lastSign = inventory.lastSign
        damage = inventory.damage
        // The last one holds what the next run must know, even if all of it is acknowledged.
        numbers = Mutex(kept)
        count = Atomic(kept.count)
        writtenCount = Atomic(inventory.records)
    }

    private static func list(_ directory: String) throws(SpoolError) -> [Int] {
        guard let listing = opendir(directory) else { throw SpoolError("read", directory, code: errno) }
        defer { closedir(listing) }
        var found: [Int] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasSuffix(fileSuffix), let number = Int(name.dropLast(fileSuffix.count)) else { continue }
            found.append(number)
        }
        return found.sorted()
    }

    private static let fileSuffix = ".spool"

    private static func path(_ directory: String, _ number: Int) -> String {
        let digits = String(number)
        return "\(directory)/\(String(repeating: "0", count: max(0, 12 - digits.count)))\(digits)\(fileSuffix)"
    }

    /// Records that can be read.
    var written: Int { writtenCount.load(ordering: .acquiring) }

    /// Bytes on disk.
    var bytes: Int { count.load(ordering: .relaxed) * segmentBytes }

    /// Whether whatever one message brings will find a place. Any thread.
    var hasRoom: Bool {
        count.load(ordering: .relaxed) + Self.spareSegments <= maximumSegments && !isRefused.load(ordering: .relaxed)
    }

    /// A closure that lies in a mutex by itself is wrapped once more each time that it is taken out.
    private struct Waker: Sendable {
        let wake: @Sendable () -> Void
    }

    // MARK: For the writer

    /// Begins the next file; nil when the spool is full.
    func makeSegment(sequenceBefore: Int64, lastSign: Timestamp) throws(SpoolError) -> SpoolSegment? {
        let result = numbers.withLock { numbers -> Result<SpoolSegment?, SpoolError> in
            guard numbers.count < maximumSegments else { return .success(nil) }
            let number = (numbers.last ?? 0) + 1
            return Result { () throws(SpoolError) in
                let segment = try SpoolSegment.make(
                    Self.path(directory, number), number: number, bytes: segmentBytes, sequenceBefore: sequenceBefore,
                    lastSign: lastSign)
                numbers.append(number)
                count.store(numbers.count, ordering: .relaxed)
                return segment
            }
        }
        if case .failure = result {
            isRefused.store(true, ordering: .relaxed)
        } else {
            isRefused.store(false, ordering: .relaxed)
        }
        return try result.get()
    }

    /// Lets the reader have what has been written, and wakes it if it waits.
    func publish(_ records: Int) {
        writtenCount.wrappingAdd(records, ordering: .sequentiallyConsistent)
        guard isAwaited.load(ordering: .sequentiallyConsistent),
            isAwaited.exchange(false, ordering: .sequentiallyConsistent)
        else { return }
        waker.withLock { $0 }?.wake()
    }

    // MARK: For the reader

    /// Sets what `await` has called, on the writer's thread.
    func setWake(_ wake: @escaping @Sendable () -> Void) {
        waker.withLock { $0 = Waker(wake: wake) }
    }

    /// Has the reader woken at the next record that is written after so many; false when there are more already.
    func await(beyond records: Int) -> Bool {
        isAwaited.store(true, ordering: .sequentiallyConsistent)
        return writtenCount.load(ordering: .sequentiallyConsistent) <= records
    }

    /// The oldest file after a number.
    func openSegment(after number: Int) throws(SpoolError) -> SpoolSegment? {
        guard let next = numbers.withLock({ $0.first { $0 > number } }) else { return nil }
        return try SpoolSegment.open(Self.path(directory, next), number: next)
    }

    /// Removes the files below a number: all that they hold is acknowledged.
    func removeSegments(below number: Int) {
        numbers.withLock { numbers in
            while let first = numbers.first, first < number {
                // A file that cannot be removed is sent again by the next run, which costs time and nothing else.
                unlink(Self.path(directory, first))
                numbers.removeFirst()
            }
            count.store(numbers.count, ordering: .relaxed)
        }
        isRefused.store(false, ordering: .relaxed)
    }

    /// Forces the files from a number on to the disk; answers the last one. Blocks.
    func synchronize(from number: Int) -> Int {
        let pending = numbers.withLock { $0.filter { $0 >= number } }
        for number in pending {
            let descriptor = Glibc.open(Self.path(directory, number), O_RDWR | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            fdatasync(descriptor)
            close(descriptor)
        }
        return pending.last ?? number
    }

    /// What former runs have left.
    private struct Inventory {
        var records = 0
        var lastSequence: Int64?
        var lastSign: Timestamp?
        var damage: [String] = []

        /// Looks through a file; false when it was never begun, and is gone.
        mutating func take(_ path: String, _ number: Int) throws(SpoolError) -> Bool {
            guard let segment = try SpoolSegment.open(path, number: number) else {
                unlink(path)
                return false
            }
            lastSequence = max(lastSequence ?? .min, segment.sequenceBefore)
            lastSign = max(lastSign ?? segment.lastSign, segment.lastSign)
            // What is acknowledged counts for the numbers only.
            let acknowledged = segment.acknowledged
            var offset = SpoolSegment.headerBytes
            while let record = segment.record(at: offset) {
                guard segment.isWhole(at: offset, to: record.end) else { break }
                lastSequence = max(lastSequence ?? .min, record.sequence)
                if offset >= acknowledged { records += 1 }
                offset = record.end
            }
            if !segment.isEmpty(from: offset) {
                let bytes = segment.cut(at: offset)
                damage.append("\(path) is damaged at byte \(offset): \(bytes) bytes are given up")
            }
            return true
        }
    }
}
