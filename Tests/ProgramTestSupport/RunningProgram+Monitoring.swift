import Foundation
import FoundationNetworking
import TestSupport

extension RunningProgram {
    /// An answer of the program's monitoring.
    package struct Answer: CustomStringConvertible {
        package let status: Int
        package let body: String
        package var description: String { "\(status) \(body)" }
    }

    /// Asks the program's monitoring, whose address the log names.
    package func get(_ path: String) async throws -> Answer {
        try await waitForLog("monitoring listens")
        guard let address = log.firstMatch(of: /http\.address"?[=:]"?([0-9.:]+)/)?.1,
            let url = URL(string: "http://\(address)\(path)")
        else { throw TestFailure("no address of the monitoring\n\(lastLines)") }
        let session = URLSession(configuration: .ephemeral)
        defer { session.invalidateAndCancel() }
        let (data, response) = try await session.data(from: url)
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        return Answer(status: status, body: String(decoding: data, as: UTF8.self))
    }

    /// Waits until `/readyz` answers this status; returns what it says.
    @discardableResult
    package func waitForReadiness(_ status: Int) async throws -> String {
        var last: Answer?
        do {
            try await wait(for: "/readyz to answer \(status)") {
                last = try await get("/readyz")
                return last?.status == status
            }
        } catch {
            throw TestFailure("\(error)\n/readyz: \(last.map { "\($0)" } ?? "no answer")")
        }
        return last?.body ?? ""
    }

    /// The sum of a metric over all its labels but those of the topic of events.
    package func metric(_ name: String) async throws -> Double {
        let lines = try await get("/metrics").body.split(separator: "\n")
        let samples = lines.filter {
            ($0.hasPrefix("\(name) ") || $0.hasPrefix("\(name){")) && !$0.contains("-events\"")
        }
        guard !samples.isEmpty else { throw TestFailure("there is no metric \(name)") }
        return samples.compactMap { Double($0.split(separator: " ").last ?? "") }.reduce(0, +)
    }
}
