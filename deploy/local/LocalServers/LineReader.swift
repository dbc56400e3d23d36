import Foundation
import Glibc

/// Reads a pipe to its end on a thread of its own and hands each line, without its newline, to a handler.
///
/// The handler runs on that thread, one line at a time and in order. A last line without a newline counts too.
final class LineReader: Sendable {
    private let ended = DispatchSemaphore(value: 0)

    /// Takes ownership of `descriptor` and closes it at the end.
    init(descriptor: Int32, handler: @escaping @Sendable (String) -> Void) {
        let thread = Thread { [ended] in
            Self.read(descriptor, handler)
            close(descriptor)
            ended.signal()
        }
        thread.name = "line-reader"
        thread.start()
    }

    /// Blocks until the pipe's end was read, at most `limit`.
    func join(_ limit: DispatchTimeInterval) {
        if ended.wait(timeout: .now() + limit) == .success { ended.signal() }
    }

    private static func read(_ descriptor: Int32, _ handler: (String) -> Void) {
        var pending: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            pending.append(contentsOf: buffer[..<count])
            var start = pending.startIndex
            while let newline = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
                handler(String(decoding: pending[start..<newline], as: UTF8.self))
                start = newline + 1
            }
            pending.removeSubrange(..<start)
        }
        if !pending.isEmpty { handler(String(decoding: pending, as: UTF8.self)) }
    }
}
