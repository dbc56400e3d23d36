import Foundation
import Kafka
import Synchronization
import TestSupport

/// Produces records to all partitions of a topic until it is stopped, at a pace that the embedded cluster can keep.
final class Feed: Sendable {
    private let isStopped = Atomic(false)
    private let worker = Mutex<Worker<Int>?>(nil)

    /// - Parameter source: numbers the records, and now and then sends the last ones again, in order; nil numbers none.
    init(_ topic: TestTopic, source: String? = nil) {
        worker.withLock {
            $0 = Worker { [self] in
                let target = try topic.producer()
                let prefix = source.map { "\($0) " } ?? ""
                var random = SplitMix64(seed: 1)
                var (next, count) = (0, 0)
                while !isStopped.load(ordering: .acquiring) || next < count {
                    for _ in 0..<10 {
                        for partition in 0..<topic.partitions {
                            try target.produce(Array("\(prefix)\(next)".utf8), partition: Int32(partition))
                        }
                        next += 1
                    }
                    count = max(count, next)
                    target.producer.poll(milliseconds: 0)
                    usleep(5_000)
                    if source != nil, next == count, random.oneIn(5), !isStopped.load(ordering: .acquiring) {
                        next -= random.below(min(count, 200) + 1)
                    }
                }
                guard target.producer.flush(timeout: hangLimit) == 0, target.producer.failedCount == 0 else {
                    throw TestFailure("the records were not produced")
                }
                return count
            }
        }
    }

    /// Ends it; answers how many records each partition has, not counting those that were sent again.
    func stop() throws -> Int {
        isStopped.store(true, ordering: .releasing)
        return try worker.withLock { $0 }!.value()
    }
}
