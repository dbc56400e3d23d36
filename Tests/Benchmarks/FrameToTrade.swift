import TradeModel

/// Reading the feed's frames, without any I/O. The limit touches each byte once.
struct FrameToTrade: Stage {
    let workload: Workload

    let name = "frame to trade"
    let limitName = "sum of the same bytes, a plain loop"

    func prepare() {}

    func measureLimit() throws -> Double {
        let expected = checksum()
        return try repeated {
            guard checksum() == expected else { throw BenchError("two sums of the same bytes differ") }
        }
    }

    func measure() throws -> Measurement {
        var parser = FeedParser()
        let rate = try repeated {
            let wire = workload.wire
            var trades = 0
            for frame in workload.frames {
                guard parser.parse(wire.span.extracting(frame)) == .trades, parser.rejections.isEmpty else {
                    throw BenchError("a frame was not understood")
                }
                trades += parser.trades.count
            }
            guard trades == workload.trades else {
                throw BenchError("\(trades) of \(workload.trades) trades were read")
            }
        }
        return Measurement(rate: rate)
    }

    private func checksum() -> UInt64 {
        let wire = workload.wire
        var sum: UInt64 = 0
        for frame in workload.frames {
            let bytes = wire.span.extracting(frame)
            for index in bytes.indices { sum &+= UInt64(bytes[index]) }
        }
        return sum
    }

    /// Trades a second over as many passes as half a second takes.
    private func repeated(_ pass: () throws -> Void) rethrows -> Double {
        let started = ContinuousClock.now
        var passes = 0
        while passes == 0 || ContinuousClock.now - started < .milliseconds(500) {
            try pass()
            passes += 1
        }
        return workload.rate(over: ContinuousClock.now - started) * Double(passes)
    }
}
