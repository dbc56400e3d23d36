@testable import Postgres
import TestSupport
import Testing
import TradeModel

/// The binary encoding against the server's own reading of text.
@Suite struct `Binary encoding` {
    /// So many random values of a type are compared.
    static let million = 1_000_000

    /// Copies pairs of a binary value and its text, and returns what the server finds different, in value or in form.
    func differences(
        type: String, count: Int, _ encode: (inout FieldBuffer, Int) throws -> String
    ) throws -> [String] {
        var connection = try connect("options='-c TimeZone=UTC -c extra_float_digits=3'")
        try connection.execute("CREATE TEMP TABLE t (value \(type), expected text)")
        var rows = CopyBuffer()
        for index in 0..<count {
            rows.beginRow(columns: 2)
            let text = try encode(&rows.fields, index)
            rows.fields.text(text)
            rows.endRow()
            guard rows.rowCount == 50_000 || index == count - 1 else { continue }
            try connection.copyIn("COPY t FROM STDIN (FORMAT binary)", rows: rows)
            rows.reset()
        }
        #expect(try connection.query("SELECT count(*) FROM t").int64(0, 0) == Int64(count))
        let result = try connection.query(
            """
            SELECT value::text, expected FROM t
            WHERE value IS DISTINCT FROM expected::\(type) OR value::text IS DISTINCT FROM expected::\(type)::text LIMIT 10
            """)
        return (0..<result.rowCount).map { "\(result.string($0, 0) ?? "NULL") for \(result.string($0, 1) ?? "NULL")" }
    }

    /// The number's text with `scale` decimals, made without arithmetic.
    func decimal(_ digits: String, isNegative: Bool, scale: Int) -> String {
        let padded = String(repeating: "0", count: max(0, scale + 1 - digits.count)) + digits
        let whole = padded.dropLast(scale)
        return (isNegative ? "-" : "") + whole + (scale > 0 ? "." + padded.suffix(scale) : "")
    }

    func decimal(_ coefficient: Int128, scale: Int) -> String {
        decimal(String(coefficient.magnitude), isNegative: coefficient < 0, scale: scale)
    }

    static let nines = Int128("99999999999999999999999999999999999999")!

    @Test func `of numerics is right at the edges`() throws {
        var coefficients: [Int128] = [0, 1, -1, Self.nines, -Self.nines, .max, .min]
        var power: Int128 = 1
        for _ in 0..<38 {
            coefficients += [power - 1, power, power + 1, -power, 1 - power]
            power = power.multipliedReportingOverflow(by: 10).partialValue
        }
        for bits: Int128 in [32, 63, 64, 65, 127] {
            coefficients += [(Int128(1) << bits) &- 1, Int128(1) << bits]
        }
        for border: UInt64 in [.max / 10, .max / 100, .max / 1000] {
            coefficients += [Int128(border), Int128(border) + 1]
        }
        let cases = coefficients.flatMap { coefficient in (0...76).map { (coefficient, $0) } }
        let found = try differences(type: "numeric", count: cases.count) { fields, index in
            try fields.numeric(coefficient: cases[index].0, scale: cases[index].1)
            return decimal(cases[index].0, scale: cases[index].1)
        }
        #expect(found == [])
    }

    @Test func `of random numerics has the value and the decimals of the text`() throws {
        var random = SplitMix64(seed: 1)
        let groups: [Int128] = [0, 1, 9, 10, 99, 100, 999, 1_000, 9_990, 9_999]
        let found = try differences(type: "numeric", count: Self.million) { fields, index in
            var coefficient: Int128 = 0
            if index & 1 == 0 {
                coefficient = (Int128(random.next() >> 1) << 64 | Int128(random.next())) >> Int128(random.below(127))
                // Zeros at the end are what stripping can get wrong.
                for _ in 0..<random.below(13) where coefficient.magnitude < UInt128(Self.nines) / 10 {
                    coefficient *= 10
                }
            } else {
                // Digits of base 10000 at their borders, and zeros between them.
                for _ in 0...random.below(9) { coefficient = coefficient * 10_000 + groups[random.below(groups.count)] }
            }
            if random.oneIn(2) { coefficient.negate() }
            let scale = random.below(random.oneIn(2) ? 9 : 77)
            if scale <= 38, coefficient.magnitude <= UInt128(Self.nines) {
                try fields.numeric(Decimal(coefficient: coefficient, scale: UInt8(scale)))
            } else {
                try fields.numeric(coefficient: coefficient, scale: scale)
            }
            return decimal(coefficient, scale: scale)
        }
        #expect(found == [])
    }

    @Test func `of wide sums has the value and the decimals of the text`() throws {
        var random = SplitMix64(seed: 2)
        let found = try differences(type: "numeric", count: 20_000) { fields, _ in
            var digits = (0..<Int.random(in: 1...185, using: &random)).map { _ in
                UInt64.random(in: 0...9, using: &random)
            }
            let zeros = Int.random(in: 0...12, using: &random)
            digits += [UInt64](repeating: 0, count: Bool.random(using: &random) ? zeros : 0)
            let isNegative = Bool.random(using: &random)
            let scale = Int.random(in: 0...152, using: &random)
            let limbs = magnitude(digits, limbs: Int.random(in: 11...12, using: &random))
            try fields.numeric(magnitude: limbs.span, isNegative: isNegative, scale: scale)
            return decimal(digits.map { "\($0)" }.joined(), isNegative: isNegative, scale: scale)
        }
        #expect(found == [])
    }

    @Test func `of sums of products is what the server makes of their factors`() throws {
        var random = SplitMix64(seed: 5)
        func factor() -> Decimal {
            let coefficient = (Int128(random.next() >> 2) << 64 | Int128(random.next())) >> Int128(random.below(126))
            return Decimal(
                coefficient: (random.oneIn(2) ? coefficient : -coefficient) % (Self.nines + 1),
                scale: UInt8(random.below(39)))
        }
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (value numeric, factors numeric[])")
        var rows = CopyBuffer()
        let array = BinaryArray(of: .numeric)
        for _ in 0..<50_000 {
            var sum = ExactSum()
            array.reset()
            for _ in 0..<3 {
                let (left, right) = (factor(), factor())
                sum.addProduct(left, right)
                try array.elements.numeric(left)
                try array.elements.numeric(right)
            }
            rows.beginRow(columns: 2)
            try rows.fields.numeric(sum)
            rows.fields.bytes(array.seal())
            rows.endRow()
        }
        try connection.copyIn("COPY t FROM STDIN (FORMAT binary)", rows: rows)
        let wrong = try connection.query(
            """
            SELECT value, factors FROM (
                SELECT value, factors,
                    factors[1] * factors[2] + factors[3] * factors[4] + factors[5] * factors[6] AS sum FROM t) AS sums
            WHERE value <> sum OR value::text <> sum::text LIMIT 10
            """)
        #expect((0..<wrong.rowCount).map { "\(wrong.string($0, 0)!) for \(wrong.string($0, 1)!)" } == [])
    }

    @Test func `of a wide magnitude equals that of the same coefficient`() throws {
        for coefficient in [0, 1, 9_999, 10_000, Self.nines] {
            let scale = 5
            let narrow = BinaryArray(of: .numeric)
            try narrow.elements.numeric(coefficient: -coefficient, scale: scale)
            let wide = BinaryArray(of: .numeric)
            let limbs = [UInt64(truncatingIfNeeded: coefficient), UInt64(truncatingIfNeeded: coefficient >> 64), 0, 0]
            try wide.elements.numeric(magnitude: limbs.span, isNegative: true, scale: scale)
            var connection = try connect()
            let result = try connection.query(
                "SELECT $1::text, $2::text", parameters: [.array(narrow), .array(wide)])
            #expect(result.string(0, 0) == result.string(0, 1))
        }
    }

    /// Base 10 to base 2⁶⁴, the lowest limb first.
    func magnitude(_ digits: [UInt64], limbs count: Int) -> [UInt64] {
        var limbs = [UInt64](repeating: 0, count: count)
        for digit in digits {
            var carry = digit
            for index in limbs.indices {
                let product = limbs[index].multipliedFullWidth(by: 10)
                let sum = product.low.addingReportingOverflow(carry)
                limbs[index] = sum.partialValue
                carry = product.high + (sum.overflow ? 1 : 0)
            }
        }
        return limbs
    }

    @Test(arguments: [-1, 16_384, Int.max, Int.min])
    func `of a numeric refuses an impossible scale`(scale: Int) throws {
        var rows = CopyBuffer()
        #expect(try failure { try rows.fields.numeric(coefficient: 1, scale: scale) }.isDataError)
        #expect(rows.byteCount == 0)
    }

    /// A moment's text, by the calendar's arithmetic.
    func timestamp(_ microseconds: Int64) -> String {
        let day: Int64 = 86_400_000_000
        let days = (microseconds - (microseconds % day + day) % day) / day
        let rest = microseconds - days * day
        // Days since 1 March of the year 0, in eras of 400 years.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let shownYear = String(year > 0 ? year : 1 - year)
        let seconds = rest / 1_000_000
        return String(repeating: "0", count: max(0, 4 - shownYear.count)) + shownYear
            + "-\(two(month >= 10 ? month - 9 : month + 3))-\(two(dayOfMonth)) "
            + "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
            + ".\(String(String(rest % 1_000_000 + 1_000_000).dropFirst()))+00" + (year > 0 ? "" : " BC")
    }

    static let firstTimestamp: Int64 = -210_866_803_200_000_000

    @Test func `of random timestamps is the same moment as the text`() throws {
        var random = SplitMix64(seed: 3)
        let found = try differences(type: "timestamptz", count: Self.million) { fields, index in
            let range: ClosedRange<Int64> =
                switch index % 4 {
                case 0: Self.firstTimestamp ... .max
                case 1: -1_000_000...1_000_000
                default: 0...4_000_000_000_000_000
                }
            var value = Int64.random(in: range, using: &random)
            // Within a microsecond of midnight, where seconds, days, months and years change.
            if index % 4 == 3 { value = value / 86_400_000_000 * 86_400_000_000 + Int64(random.below(3)) - 1 }
            try fields.timestamptz(microsecondsSince1970: value)
            return timestamp(value)
        }
        #expect(found == [])
    }

    @Test func `of timestamps is right at the limits`() throws {
        let cases: [(Int64, String)] = [
            (Self.firstTimestamp, "4714-11-24 00:00:00+00 BC"), (.max, "294247-01-10 04:00:54.775807+00"),
            (0, "1970-01-01 00:00:00+00"), (-1, "1969-12-31 23:59:59.999999+00"),
            (946_684_800_000_000, "2000-01-01 00:00:00+00"), (946_684_799_999_999, "1999-12-31 23:59:59.999999+00"),
        ]
        let found = try differences(type: "timestamptz", count: cases.count) { fields, index in
            try fields.timestamptz(microsecondsSince1970: cases[index].0)
            return cases[index].1
        }
        #expect(found == [])
        #expect(cases.map { timestamp($0.0).prefix(10) } == cases.map { $0.1.prefix(10) })
    }

    @Test(arguments: [firstTimestamp - 1, Int64.min])
    func `of a timestamp before PostgreSQL's calendar is a data error`(value: Int64) throws {
        var rows = CopyBuffer()
        rows.beginRow(columns: 1)
        let error = try failure { try rows.fields.timestamptz(microsecondsSince1970: value) }
        #expect(error.sqlState == "22008" && error.isDataError && !error.isRetriable)
        rows.discardRow()
        #expect(rows.byteCount == 0)
    }

    @Test func `of random text arrives byte by byte`() throws {
        var random = SplitMix64(seed: 4)
        let scalars: [ClosedRange<UInt32>] = [
            1...0x7F, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF,
        ]
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (value text, hex text)")
        var rows = CopyBuffer(capacity: 1)
        for _ in 0..<5_000 {
            var text = ""
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                text.unicodeScalars.append(
                    Unicode.Scalar(.random(in: scalars.randomElement(using: &random)!, using: &random))!)
            }
            let hex = text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            rows.beginRow(columns: 2)
            text.withUTF8 { rows.fields.bytes(UnsafeRawBufferPointer($0)) }
            rows.fields.text(hex)
            rows.endRow()
        }
        try connection.copyIn("COPY t FROM STDIN (FORMAT binary)", rows: rows)
        let wrong = try connection.query("SELECT 1 FROM t WHERE encode(convert_to(value, 'UTF8'), 'hex') <> hex")
        #expect(wrong.rowCount == 0)
    }

    @Test(arguments: [[0], [0xC3], [0xFF, 0xFE], [0xED, 0xA0, 0x80]] as [[UInt8]])
    func `of bytes that are no text is refused by the server as a data error`(bytes: [UInt8]) throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (value text)")
        var rows = CopyBuffer()
        rows.beginRow(columns: 1)
        bytes.withUnsafeBytes { rows.fields.bytes($0) }
        rows.endRow()
        #expect(try failure { try connection.copyIn("COPY t FROM STDIN (FORMAT binary)", rows: rows) }.isDataError)
    }

    @Test func `of the other types is right at their limits`() throws {
        var connection = try connect()
        try connection.execute("CREATE TEMP TABLE t (a int2, b int4, c int8, d bool, e bytea, f text)")
        var rows = CopyBuffer()
        for isHigh in [false, true] {
            rows.beginRow(columns: 6)
            rows.fields.int2(isHigh ? .max : .min)
            rows.fields.int4(isHigh ? .max : .min)
            rows.fields.int8(isHigh ? .max : .min)
            rows.fields.bool(isHigh)
            [UInt8](isHigh ? [0, 255] : []).withUnsafeBytes { rows.fields.bytes($0) }
            rows.fields.null()
            rows.endRow()
        }
        try connection.copyIn("COPY t FROM STDIN (FORMAT binary)", rows: rows)
        let result = try connection.query("SELECT concat_ws(' ', a, b, c, d, e, f) FROM t ORDER BY a")
        #expect(result.string(0, 0) == #"-32768 -2147483648 -9223372036854775808 f \x"#)
        #expect(result.string(1, 0) == #"32767 2147483647 9223372036854775807 t \x00ff"#)
    }
}
