import Foundation
import Synchronization
import TestSupport

/// What the simulator has written down of a scenario so far, connection by connection.
final class RecordedFeed: Sendable {
    /// A connection or an attempt.
    struct Connection: Sendable {
        var connectedAt: Moment
        var isAccepted = false
        var frames: [Frame] = []
        /// How it ended, in the simulator's words; nil while it has not.
        var end: String?

        /// Those that a client can read.
        var readable: [Frame] { frames.filter { $0.fault == nil } }
    }

    struct Frame: Sendable {
        let text: String
        let fault: String?
        let at: Moment

        /// How many trades it has, or what looks like them.
        var tradeCount: Int { text.components(separatedBy: "\"p\":").count - 1 }
    }

    private struct Line: Decodable {
        let time: Moment
        let connection: Int
        let frame: String?
        let fault: String?
        let event: String?
    }

    private struct State {
        var offset: UInt64 = 0
        var connections: [Connection] = []
    }

    let path: String
    private let state = Mutex(State())

    init(path: String) {
        self.path = path
    }

    /// All connections up to now, in the order in which they came.
    func connections() throws -> [Connection] {
        try state.withLock { state in
            guard let file = FileHandle(forReadingAtPath: path) else { return [] }
            defer { try? file.close() }
            try file.seek(toOffset: state.offset)
            let data = try file.readToEnd() ?? Data()
            guard let end = data.lastIndex(of: UInt8(ascii: "\n")) else { return state.connections }
            state.offset += UInt64(data[...end].count)
            for line in data[..<end].split(separator: UInt8(ascii: "\n")) {
                Self.add(try JSONDecoder().decode(Line.self, from: line), to: &state.connections)
            }
            return state.connections
        }
    }

    private static func add(_ line: Line, to connections: inout [Connection]) {
        let index = line.connection - 1
        // Each has a thread of its own, which writes when it comes to it.
        while connections.count <= index { connections.append(Connection(connectedAt: line.time)) }
        switch line.event {
        case "connected": connections[index].connectedAt = line.time
        case "accepted": connections[index].isAccepted = true
        case let end?: connections[index].end = end
        case nil: connections[index].frames.append(Frame(text: line.frame ?? "", fault: line.fault, at: line.time))
        }
    }
}
