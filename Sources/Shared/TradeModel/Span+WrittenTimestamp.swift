/// Reading moments as `ByteWriter` writes them, eight bytes at a time.
extension Span<UInt8> {
    /// A moment in exactly the form `"2026-08-28T15:35:36.086000Z"`, quotes included.
    ///
    /// What it throws of another form means nothing: `scanTimestamp` finds out what is wrong, if anything is.
    @inline(__always)
    func scanWrittenTimestamp(_ position: inout Int) throws(RejectionReason) -> Timestamp {
        guard position + 29 <= count, self[unchecked: position] == UInt8(ascii: "\"") else { throw .malformedJSON }
        let date = Digits(word(position + 1, UInt64.self), like: "0000-00-")
        let time = Digits(word(position + 9, UInt64.self), like: "00T00:00")
        let fraction = Digits(word(position + 17, UInt64.self), like: ":00.0000")
        let end = Digits(UInt64(word(position + 25, UInt32.self)), like: "00Z\"\0\0\0\0")
        let (year, month, day) = (date.pair(0) * 100 + date.pair(2), date.pair(5), time.pair(0))
        let (hour, minute, second) = (time.pair(3), time.pair(6), fraction.pair(1))
        guard date.isAlike && time.isAlike && fraction.isAlike && end.isAlike, year >= 1970, 1...12 ~= month,
            1...Calendar.daysIn(month: month, of: year) ~= day, hour < 24, minute < 60, second < 60
        else { throw .malformedJSON }
        position += 29
        let seconds = Int64((hour * 60 + minute) * 60 + second)
        let microseconds = Int64((fraction.pair(4) * 100 + fraction.pair(6)) * 100 + end.pair(0))
        return Timestamp(
            microseconds: Calendar.daysSince1970(year: year, month: month, day: day) * Calendar.microsecondsPerDay
                + seconds * 1_000_000 + microseconds)
    }

    @inline(__always)
    private func word<Word: FixedWidthInteger & BitwiseCopyable>(_ position: Int, _: Word.Type) -> Word {
        bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: Word.self).littleEndian
    }
}

/// Eight bytes beside a pattern, where a `0` stands for any digit and everything else for itself.
private struct Digits {
    /// A digit's value in its byte, 0 in that of any other character.
    private let values: UInt64
    private let isOff: UInt64

    /// - Parameter pattern: eight ASCII characters.
    @inline(__always)
    init(_ word: UInt64, like pattern: StaticString) {
        var expected: UInt64 = 0
        // What brings a byte's top bit up when it is more than it may be: 9 for a digit, 0 for the others.
        var excess: UInt64 = 0
        for index in 0..<8 {
            let character = pattern.utf8Start[index]
            expected |= UInt64(character) << UInt64(8 * index)
            excess |= (character == 0x30 ? 0x76 : 0x7F) << UInt64(8 * index)
        }
        values = word ^ expected
        isOff = ((values &+ excess) | values) & 0x8080_8080_8080_8080
    }

    /// Whether the bytes are of the pattern.
    @inline(__always)
    var isAlike: Bool { isOff == 0 }

    /// The number of two digits that begins at a byte.
    @inline(__always)
    func pair(_ index: Int) -> Int {
        let tens = values >> UInt64(8 * index) & 0xFF
        let ones = values >> UInt64(8 * index + 8) & 0xFF
        return Int(tens * 10 + ones)
    }
}
