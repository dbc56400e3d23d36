import Foundation
import Glibc
import Synchronization

/// Standard output: lines that stay, and on a terminal a screen that is redrawn in place.
final class Terminal: Sendable {
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private let environment = ProcessInfo.processInfo.environment
    /// Rows that the screen drawn last takes.
    private let drawnRows = Mutex(0)

    /// False where lines go to a file or to another program.
    var canRedraw: Bool { isTerminal && environment["TERM"] != "dumb" }

    /// What fits now; windows change their size.
    var screen: StatusScreen {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return StatusScreen() }
        return StatusScreen(
            width: Int(size.ws_col), height: Int(size.ws_row),
            isColored: canRedraw && (environment["NO_COLOR"] ?? "").isEmpty)
    }

    /// Writes a line that stays, below the screen when one was drawn.
    @Sendable func say(_ line: String) {
        drawnRows.withLock { $0 = 0 }
        write("\(line)\n")
    }

    /// Draws a screen in the place of the one drawn last.
    func draw(_ text: String) {
        let screen = screen
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        // What scrolled out at the top could not be overwritten.
        while rows(lines, screen.width) >= screen.height, lines.count > 1 { lines.removeLast() }
        let new = rows(lines, screen.width)
        let old = drawnRows.withLock { drawn in
            defer { drawn = new }
            return drawn
        }
        write("\(old > 0 ? "\u{1B}[\(old)F" : "")\u{1B}[J\(lines.map { "\($0)\n" }.joined())")
    }

    private func rows(_ lines: ArraySlice<Substring>, _ width: Int) -> Int {
        lines.reduce(0) { $0 + max(1, (visibleCount($1) + width - 1) / width) }
    }

    /// Characters without the colours' escape sequences.
    private func visibleCount(_ line: Substring) -> Int {
        var count = 0
        var isEscape = false
        for character in line {
            if character == "\u{1B}" { isEscape = true }
            if !isEscape { count += 1 }
            if isEscape && character == "m" { isEscape = false }
        }
        return count
    }

    private func write(_ text: String) {
        // A reader that has gone is no reason to stop.
        try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
    }
}
