import Foundation
import LocalServers
import ProgramTestSupport
import Synchronization
import TestSupport
import Testing

/// Python's clients of WebSockets, which are none of ours, get on with the feed simulator.
@Suite(.timeLimit(.minutes(10))) struct PythonClientTests {
    /// Subscribes two symbols with `websocket-client`, and prints how many trades came of which.
    private static let websocketClient = """
        import json, sys, websocket
        connection = websocket.create_connection(sys.argv[1], timeout=30)
        for symbol in ("AAPL", "BINANCE:BTCUSDT"):
            connection.send(json.dumps({"type": "subscribe", "symbol": symbol}))
        trades = []
        while len(trades) < 500:
            trades += json.loads(connection.recv()).get("data", [])
        connection.close()
        print(len(trades) >= 500, sorted({trade["s"] for trade in trades}), connection.connected)
        """

    /// The same with `websockets`, which offers compression.
    private static let websockets = """
        import json, sys
        from websockets.sync.client import connect
        with connect(sys.argv[1], open_timeout=30) as connection:
            for symbol in ("AAPL", "BINANCE:BTCUSDT"):
                connection.send(json.dumps({"type": "subscribe", "symbol": symbol}))
            trades = []
            while len(trades) < 500:
                trades += json.loads(connection.recv(timeout=30)).get("data", [])
        print(len(trades) >= 500, sorted({trade["s"] for trade in trades}), connection.close_code != 1000)
        """

    @Test(arguments: [websocketClient, websockets], [nil, "frame-fragments", "frame-many-a-segment"])
    func `a Python client subscribes and reads frames`(_ script: String, _ scenario: String?) async throws {
        let options = scenario.map { ["--scenario", Self.path(ofScenario: $0)] } ?? []
        let (simulator, url) = try await RunningProgram.simulator(options + ["--rate", "2000"])
        let (status, lines) = try await Self.run(script, url)
        #expect(status == .exited(0))
        #expect(lines == ["True ['AAPL', 'BINANCE:BTCUSDT'] False"])
        try await simulator.stop()
    }

    @Test func `a Python client hears of a close code and of a broken frame`() async throws {
        let script = """
            import json, sys
            from websockets.sync.client import connect
            from websockets.exceptions import ConnectionClosed
            with connect(sys.argv[1], open_timeout=30) as connection:
                connection.send(json.dumps({"type": "subscribe", "symbol": "AAPL"}))
                try:
                    while True: connection.recv(timeout=30)
                except ConnectionClosed as end:
                    print(end.rcvd.code if end.rcvd else None, end.sent.code if end.sent else None)
            """
        for (scenario, codes) in [("close-1012", "1012 1012"), ("frame-masked", "None 1002")] {
            let (simulator, url) = try await RunningProgram.simulator(
                ["--scenario", Self.path(ofScenario: scenario)])
            let (status, lines) = try await Self.run(script, url)
            #expect(status == .exited(0))
            #expect(lines == [codes], "\(scenario)")
            try await simulator.stop()
        }
    }

    private static let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appending(path: "../..").standardizedFileURL

    private static func path(ofScenario name: String) -> String {
        project.appending(path: "Tests/Scenarios/\(name).scenario").path
    }

    private final class Output: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        @Sendable func append(_ line: String) { lines.withLock { $0.append(line) } }
    }

    /// Runs a script with the Python that `make setup` has prepared.
    private static func run(
        _ script: String, _ url: String
    ) async throws -> (status: LocalServers.ExitStatus, lines: [String]) {
        let python = project.appending(path: ".build/tools/python/bin/python").path
        guard FileManager.default.isExecutableFile(atPath: python) else {
            throw TestFailure("\(python) is missing: run 'make setup', which installs Python's clients from PyPI")
        }
        let output = Output()
        let child = try ChildProcess(python, ["-c", script, url], output: .lines(output.append))
        guard let status = await child.wait(hangLimit) else {
            throw TestFailure("the Python client does not end")
        }
        return (status, output.all)
    }
}
