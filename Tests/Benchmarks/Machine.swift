import Foundation

/// What the figures were measured on.
struct Machine: CustomStringConvertible {
    let description: String

    init() {
        let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n") ?? []
        let model = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last.map(String.init) ?? "?"
        let load = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8))?.split(separator: " ").first ?? "?"
        let info = ProcessInfo.processInfo
        let memory = info.physicalMemory >> 30
        description =
            "\(info.activeProcessorCount) cores (\(model.trimmingCharacters(in: .whitespaces))), \(memory) GiB, shared by "
            + "broker, database, feed and program; load before the start \(load)"
    }
}
