import TradeModel

/// Reading the feed's frames, without any I/O. The limit touches each byte once.
struct FrameToTrade: Stage {
    let workload: Workload

    let name = "frame to trade"
    let limitName = "sum of the same bytes, a plain loop"

    func prepare() {}

    func measureLimit() throws -> Limit {
        let expected = checksum()
        let sums = try repeated {
            guard checksum() == expected else { throw BenchError("two sums of the same bytes differ") }
        }
        return Limit(rate: sums.rate, cpuSeconds: sums.usage.cpuSeconds)
    }

    func measure() throws -> Measurement {
        var parser = FeedParser()
        return try repeated {
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

    /// Measures as many passes as half a second takes. The memory is this process', which holds the frames.
    private func repeated(_ pass: () throws -> Void) rethrows -> Measurement {
        let cpuBefore = MeasuredProgram.Usage.ofThisProcess.cpuSeconds
        let started = ContinuousClock.now
        var passes = 0
        while passes == 0 || ContinuousClock.now - started < .milliseconds(500) {
            try pass()
            passes += 1
        }
        let rate = workload.rate(over: ContinuousClock.now - started) * Double(passes)
        let usage = MeasuredProgram.Usage.ofThisProcess
        return Measurement(
            rate: rate,
            usage: MeasuredProgram.Usage(
                cpuSeconds: (usage.cpuSeconds - cpuBefore) / Double(passes), peakMegabytes: usage.peakMegabytes))
    }
}
