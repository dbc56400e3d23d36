import Foundation
import Kafka
import Synchronization
import TestSupport

/// Produces records to all partitions of a topic until it is stopped, at a pace that the embedded cluster can keep.
final class Feed: Sendable {
    private let isStopped = Atomic(false)
    private let worker = Mutex<Worker<Int>?>(nil)

    init(_ topic: TestTopic) {
        worker.withLock {
            $0 = Worker { [self] in
                let target = try topic.producer()
                var count = 0
                while !isStopped.load(ordering: .acquiring) {
                    for _ in 0..<10 {
                        for partition in 0..<topic.partitions {
                            try target.produce(Array("\(count)".utf8), partition: Int32(partition))
                        }
                        count += 1
                    }
                    target.producer.poll(milliseconds: 0)
                    usleep(5_000)
                }
                guard target.producer.flush(timeout: .seconds(30)) == 0, target.producer.failedCount == 0 else {
                    throw TestFailure("the records were not produced")
                }
                return count
            }
        }
    }

    /// Ends it; answers how many records each partition has.
    func stop() throws -> Int {
        isStopped.store(true, ordering: .releasing)
        return try worker.withLock { $0 }!.value(within: .seconds(40))
    }
}
