import Postgres
import Testing

@Suite struct `A binary array` {
    @Test func `of every type is taken apart by unnest`() throws {
        let names = BinaryArray(of: .text)
        let counts = BinaryArray(of: .int8)
        let prices = BinaryArray(of: .numeric)
        let times = BinaryArray(of: .timestamptz)
        let windows = BinaryArray(of: .int4)
        let flags = BinaryArray(of: .bool)
        let blobs = BinaryArray(of: .bytea)
        for number in 0..<1_000 {
            if number % 10 == 0 { names.elements.null() } else { names.elements.text("Straße, \"\(number)\" {}") }
            counts.elements.int8(Int64(number))
            try prices.elements.numeric(coefficient: Int128(number), scale: 2)
            try times.elements.timestamptz(microsecondsSince1970: Int64(number) * 1_000_000)
            windows.elements.int4(Int32(-number))
            flags.elements.bool(number % 2 == 0)
            blobs.elements.text("\(number)")
        }
        #expect(names.count == 1_000)
        var connection = try connect()
        let result = try connection.query(
            """
            SELECT count(*), count(name), sum(price), count(*) FILTER (WHERE
                name IS NOT DISTINCT FROM CASE WHEN n % 10 > 0 THEN 'Straße, "' || n || '" {}' END
                AND price = n / 100.0 AND at = to_timestamp(n) AND width = -n AND even = (n % 2 = 0)
                AND blob = convert_to(n::text, 'UTF8'))
            FROM unnest($1, $2, $3, $4, $5, $6, $7) AS r (name, n, price, at, width, even, blob)
            """,
            parameters: [names, counts, prices, times, windows, flags, blobs].map { .array($0) })
        #expect(result.int64(0, 0) == 1_000)
        #expect(result.int64(0, 1) == 900)
        #expect(result.string(0, 2) == "4995.00")
        #expect(result.int64(0, 3) == 1_000)
    }

    @Test func `may be empty, and be filled again`() throws {
        let array = BinaryArray(of: .int4)
        var connection = try connect()
        let sql = "SELECT count(*), sum(n) FROM unnest($1) AS n"
        #expect(try connection.query(sql, parameters: [.array(array)]).int64(0, 0) == 0)
        for round in 1...3 {
            array.reset()
            for number in 0..<(1_000 * round) { array.elements.int4(Int32(number % 7)) }
            let result = try connection.query(sql, parameters: [.array(array)])
            #expect(result.int64(0, 0) == Int64(1_000 * round))
            #expect(result.int64(0, 1) == (0..<Int64(1_000 * round)).reduce(0) { $0 + $1 % 7 })
        }
    }

    @Test func `with an element of another type is refused`() throws {
        let array = BinaryArray(of: .int8)
        array.elements.int4(1)
        var connection = try connect()
        let error = try failure { _ = try connection.query("SELECT unnest($1)", parameters: [.array(array)]) }
        #expect(error.sqlState == "08P01")
        #expect(!error.isRetriable && !error.isConnectionLost)
        #expect(try connection.query("SELECT 1").int64(0, 0) == 1)
    }
}
