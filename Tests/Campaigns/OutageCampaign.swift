import Foundation
import LocalServers

/// Takes Kafka away for long, and watches the producer's memory.
struct OutageCampaign: FeedCampaign {
    let rate: Int
    private let outage: Int

    init(_ options: CampaignOptions) {
        rate = options.rate ?? 20_000
        outage = options.outage
    }

    func disturb(_ pipeline: CampaignPipeline) async throws -> String {
        try await Task.sleep(for: .seconds(5))
        let before = try await pipeline.recordCount()
        let pid = await pipeline.producer.child.pid
        await pipeline.kafka.kill()
        var most = 0
        for second in 1...outage {
            try await Task.sleep(for: .seconds(1))
            let memory = try Self.residentMegabytes(pid)
            most = max(most, memory)
            if second.isMultiple(of: 60) { print("after \(second) s without Kafka the producer has \(memory) MB") }
        }
        try await pipeline.kafka.start()
        try await Task.sleep(for: .seconds(5))
        return "outage_seconds=\(outage) records_before=\(before) producer_rss_megabytes=\(most)"
    }

    private static func residentMegabytes(_ pid: Int32) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kilobytes = Int(line.split(separator: " ").dropLast().last ?? "")
        else { throw CampaignError("the memory of process \(pid) cannot be read") }
        return kilobytes / 1024
    }
}
