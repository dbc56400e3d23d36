import Foundation
import TestSupport
import Testing
import TradeModel

@testable import FeedSimulator

/// The symbols of the standard market.
let standardSymbols = Set(MarketSymbol.all(extra: 0).map(\.name))

/// The scenarios that are part of the project.
enum ScenarioFiles {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../Scenarios").standardizedFileURL

    static func path(_ name: String) -> String { folder.appending(path: "\(name).scenario").path }

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".scenario") }.map { String($0.dropLast(".scenario".count)) }.sorted()
    }()
}

/// A line of a recording.
struct RecordedLine: Decodable {
    let at_ms: Double
    let time: String
    let connection: Int
    let frame: String?
    let fault: String?
    let event: String?
}

/// A scenario that is being served, and what was recorded of it.
struct ScenarioRun: Sendable {
    let address: String
    let log: LogLines
    let recordFile: String

    func recorded() throws -> [RecordedLine] {
        try String(contentsOfFile: recordFile, encoding: .utf8).split(separator: "\n").map {
            try JSONDecoder().decode(RecordedLine.self, from: Data($0.utf8))
        }
    }

    /// Waits until a connection's last line is there.
    func end(ofConnection number: Int) throws -> String? {
        var end: String?
        try eventually("connection \(number) ends", within: hangLimit) {
            let event = try recorded().last { $0.connection == number }?.event
            end = event == "connected" || event == "accepted" ? nil : event
            return end != nil
        }
        return end
    }
}

/// Serves a scenario of the project's to a body that may block.
func withScenario(
    file name: String, _ configure: (inout FeedOptions) -> Void = { _ in },
    _ body: @escaping @Sendable (ScenarioRun) throws -> Void
) async throws {
    try await withScenario(
        Scenario(contentsOf: ScenarioFiles.path(name), known: standardSymbols), configure, body)
}

/// Serves a scenario in a text to a body that may block.
func withScenario(
    _ text: String, _ configure: (inout FeedOptions) -> Void = { _ in },
    _ body: @escaping @Sendable (ScenarioRun) throws -> Void
) async throws {
    try await withScenario(Scenario(text, path: "test.scenario", known: standardSymbols), configure, body)
}

private func withScenario(
    _ scenario: Scenario, _ configure: (inout FeedOptions) -> Void,
    _ body: @escaping @Sendable (ScenarioRun) throws -> Void
) async throws {
    try await withDirectory { directory in
        var options = FeedOptions()
        configure(&options)
        let recordFile = directory.appending(path: "record.jsonl").path
        options.recordFile = recordFile
        try await withScenario(scenario, options) { feed in
            let run = ScenarioRun(address: feed.address, log: feed.log, recordFile: recordFile)
            try await onThread { try body(run) }
        }
    }
}
