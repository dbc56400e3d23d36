import Foundation
import ServiceKit
import Synchronization
import TestSupport
import Testing
import TradeModel

@testable import Producer

/// The spool as the publisher and the delivery use it, and as a restart finds it.
@Suite struct SpoolTests {
    private static let limits = Spool.Limits(bytes: 1 << 20, segmentBytes: 1 << 12)

    /// A spool in a directory, with records that say which they are.
    private struct Log {
        let spool: Spool
        let writer: SpoolWriter
        let reader: SpoolReader
        /// Kept, so that it is there as long as its files are used.
        private let directory: TestDirectory

        init(_ directory: TestDirectory, limits: Spool.Limits = SpoolTests.limits, at now: Int64 = 1000) throws {
            self.directory = directory
            spool = try Spool(directory: directory.path, limits: limits)
            let numbers = SequenceNumbers(after: spool.lastSequence, at: Timestamp(microseconds: now))
            writer = try SpoolWriter(spool, lastSequence: numbers.last, at: Timestamp(microseconds: now))
            reader = SpoolReader(spool, maximumInFlight: 1024)
        }

        @discardableResult
        func append(_ number: Int, padding: Int = 50) throws -> Bool {
            let key = Array("key \(number)".utf8)
            let value = Array("\(number):\(String(repeating: "x", count: padding))".utf8)
            return try key.withUnsafeBytes { key in
                try value.withUnsafeBytes { value in
                    try writer.append(key: key, value: value, sequence: 1000 + Int64(number))
                }
            }
        }

        func append(_ numbers: Range<Int>) throws {
            for number in numbers { try #require(try append(number)) }
            writer.publish(at: Timestamp(microseconds: 5))
        }

        /// Takes so many records out; their numbers.
        func take(_ count: Int = .max) throws -> [Int] {
            var numbers: [Int] = []
            while numbers.count < count, let record = try reader.next() {
                let value = String(decoding: record.value, as: UTF8.self)
                numbers.append(try #require(Int(value.prefix { $0 != ":" })))
                #expect(String(decoding: record.key, as: UTF8.self) == "key \(numbers.last!)")
                reader.advance()
            }
            return numbers
        }
    }

    private static func files(_ directory: TestDirectory) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    }

    @Test func `records come out as they went in, in order and over many files`() throws {
        let directory = try TestDirectory()
        let log = try Log(directory)
        try log.append(0..<500)
        #expect(try Self.files(directory).count > 5)
        #expect(try log.take() == Array(0..<500))
        #expect(try log.take() == [])
        try log.append(500..<510)
        #expect(try log.take() == Array(500..<510))
    }

    @Test func `the reader is woken by as short a way the thousandth time as the first`() throws {
        let log = try Log(TestDirectory())
        let depths = Mutex<[UInt]>([])
        log.spool.setWake {
            // Where this call's frame lies on the stack.
            var frame = 0
            withUnsafePointer(to: &frame) { address in depths.withLock { $0.append(UInt(bitPattern: address)) } }
        }
        for _ in 0..<1000 {
            #expect(log.spool.await(beyond: 0))
            log.spool.publish(0)
        }
        let seen = depths.withLock { $0 }
        #expect(seen.count == 1000)
        #expect(Set(seen).count == 1)
    }

    @Test func `what is not published is not read`() throws {
        let log = try Log(try TestDirectory())
        try log.append(0..<3)
        try log.append(3)
        #expect(try log.take() == [0, 1, 2])
        log.writer.publish(at: Timestamp(microseconds: 5))
        #expect(try log.take() == [3])
    }

    @Test func `a restart begins at the first record that is not acknowledged, whatever is behind it`() throws {
        let directory = try TestDirectory()
        do {
            let log = try Log(directory)
            try log.append(0..<300)
            #expect(try log.take(200).count == 200)
            for token in [0, 1, 2, 3, 5, 6, 150, 199] { try log.reader.acknowledge(token) }
            #expect(log.reader.acknowledged == 4 && log.reader.inFlight == 196)
        }
        let next = try Log(directory)
        #expect(next.spool.recovered == 296)
        try next.append(300..<310)
        #expect(try next.take() == Array(4..<310))
    }

    @Test func `acknowledgements in any order free the files that are done with, and only those`() throws {
        let directory = try TestDirectory()
        let log = try Log(directory)
        try log.append(0..<500)
        let before = try Self.files(directory).count
        #expect(try log.take().count == 500)
        for token in (1..<500).reversed() { try log.reader.acknowledge(token) }
        #expect(try Self.files(directory).count == before)
        try log.reader.acknowledge(0)
        #expect(log.reader.waiting == 0)
        #expect(try Self.files(directory).count == 1)
        #expect(log.spool.bytes == Self.limits.segmentBytes)
        // Twice, or of another time: without effect.
        try log.reader.acknowledge(0)
        try log.reader.acknowledge(500)
        #expect(log.reader.acknowledged == 500)
    }

    @Test func `a rewind hands out again what is not acknowledged, the same records in the same order`() throws {
        let log = try Log(try TestDirectory())
        try log.append(0..<400)
        #expect(try log.take(300).count == 300)
        for token in 0..<120 { try log.reader.acknowledge(token) }
        try log.reader.acknowledge(200)
        log.reader.rewind()
        #expect(try log.take() == Array(120..<400))
        for token in 120..<400 { try log.reader.acknowledge(token) }
        #expect(log.reader.waiting == 0)
        log.reader.rewind()
        #expect(try log.take() == [])
        try log.append(400..<401)
        #expect(try log.take() == [400])
    }

    @Test func `no more are handed out than may be on their way`() throws {
        let log = try Log(try TestDirectory())
        try log.append(0..<3000)
        #expect(try log.take() == Array(0..<1024))
        #expect(log.reader.isBlocked)
        try log.reader.acknowledge(0)
        #expect(!log.reader.isBlocked)
        #expect(try log.take() == [1024])
    }

    @Test func `the numbers of a former run are known though all is acknowledged and the clock was set back`() throws {
        let directory = try TestDirectory()
        do {
            let log = try Log(directory, at: 1000)
            try log.append(0..<300)
            #expect(try log.take().count == 300)
            for token in 0..<300 { try log.reader.acknowledge(token) }
        }
        for _ in 0..<3 {
            let next = try Log(directory, at: 1)
            #expect(next.spool.lastSequence == 1299 && next.spool.recovered == 0)
            #expect(next.spool.lastSign == Timestamp(microseconds: 5))
            #expect(try next.take() == [])
        }
    }

    @Test(arguments: [(8, "header"), (30, "value"), (0, "checksum")])
    func `a damaged record ends its file, is told, and the next files are read`(offset: Int, part: String) throws {
        let directory = try TestDirectory()
        let limits = Spool.Limits(bytes: 1 << 20, segmentBytes: 1 << 12)
        do { try Log(directory, limits: limits).append(0..<100) }
        let first = directory.path + "/" + (try #require(try Self.files(directory).first))
        let file = try #require(FileHandle(forUpdatingAtPath: first))
        // The third record: two of 24 bytes of header, 5 of key and 52 of value, in multiples of 8, stand before it.
        try file.seek(toOffset: UInt64(SpoolSegment.headerBytes + 2 * 88 + offset))
        try file.write(contentsOf: [0xFF])
        try file.close()
        let log = try Log(directory, limits: limits)
        let damage = try #require(log.spool.damage.first)
        #expect(log.spool.damage.count == 1 && damage.contains(first) && damage.contains("byte 240"))
        let rest = try log.take()
        #expect(rest.prefix(2) == [0, 1] && rest[2] > 2 && rest.last == 99)
        #expect(rest.dropFirst(2).elementsEqual(rest[2]...99))
        // What was told is not told again.
        #expect(try Log(directory, limits: limits).spool.damage == [])
    }

    @Test func `a file that was made and never begun is no fault`() throws {
        let directory = try TestDirectory()
        do { try Log(directory).append(0..<10) }
        for content in [Data(), Data(count: 4096)] {
            try content.write(to: URL(fileURLWithPath: directory.path + "/000000000099.spool"))
            let log = try Log(directory)
            #expect(log.spool.damage == [] && log.spool.recovered == 10)
        }
    }

    @Test func `a foreign file is refused and not touched`() throws {
        let directory = try TestDirectory()
        let path = directory.path + "/000000000001.spool"
        let content = Data("a letter to somebody, and longer than the header of a file of the spool would ever be".utf8)
        try content.write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: SpoolError.self) { try Log(directory) }
        #expect(error?.description.contains("000000000001.spool is no file of a spool") == true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content)
    }

    @Test func `a full spool takes nothing until something is acknowledged, and says so before`() throws {
        let log = try Log(try TestDirectory(), limits: Spool.Limits(bytes: 16 << 12, segmentBytes: 1 << 12))
        var count = 0
        while log.spool.hasRoom {
            try log.append(count)
            count += 1
        }
        let warned = count
        while try log.append(count) { count += 1 }
        #expect(count - warned > 100)
        #expect(log.spool.bytes == 16 << 12)
        log.writer.publish(at: Timestamp(microseconds: 5))
        let taken = try log.take()
        #expect(taken == Array(0..<count))
        for token in taken { try log.reader.acknowledge(token) }
        #expect(log.spool.hasRoom)
        #expect(try log.append(count))
    }

    @Test func `a directory has one producer at a time, and the next one when that is gone`() throws {
        let directory = try TestDirectory()
        var first: SpoolDirectory? = try SpoolDirectory(directory.path, source: "a/b")
        let error = #expect(throws: SpoolError.self) { try SpoolDirectory(directory.path, source: "a/b") }
        #expect(error?.description.contains("another producer with --source-id 'a/b' runs here") == true)
        _ = try SpoolDirectory(directory.path, source: "other")
        #expect(first?.path == directory.path + "/a%2Fb")
        first = nil
        // A child that another test starts at this moment holds a copy of the lock until its exec.
        try eventually("the next one has it") { (try? SpoolDirectory(directory.path, source: "a/b")) != nil }
    }

    @Test func `a place that cannot be written to is named with what to do`() throws {
        let error = #expect(throws: SpoolError.self) { try SpoolDirectory("/proc/tickstream", source: "a") }
        #expect(error?.description.contains("/proc/tickstream") == true)
    }
}
