import Foundation
import Glibc

/// The child's ends of its standard output and standard error, while it is being started.
struct ChildStreams {
    struct Stream {
        /// What becomes the child's descriptor.
        var descriptor: Int32
        /// The parent's end of a pipe and who gets its lines.
        var source: (descriptor: Int32, handler: @Sendable (String) -> Void)?
        var isOwned = true
    }

    let output: Stream
    let errors: Stream

    /// Opens both; nothing stays open when one of them fails.
    init(output: ChildProcess.Output, errors: ChildProcess.Output?) throws(LocalServerError) {
        self.output = try Self.open(output, inherited: STDOUT_FILENO)
        guard let errors else {
            self.errors = Stream(descriptor: self.output.descriptor, isOwned: false)
            return
        }
        do {
            self.errors = try Self.open(errors, inherited: STDERR_FILENO)
        } catch {
            Self.closeAll(self.output)
            throw error
        }
    }

    /// Closes the child's ends and begins to read the parent's.
    func finish() -> [LineReader] {
        [output, errors].compactMap { stream in
            if stream.isOwned { close(stream.descriptor) }
            return stream.source.map { LineReader(descriptor: $0.descriptor, handler: $0.handler) }
        }
    }

    private static func closeAll(_ stream: Stream) {
        if stream.isOwned { close(stream.descriptor) }
        if let source = stream.source { close(source.descriptor) }
    }

    private static func open(_ output: ChildProcess.Output, inherited: Int32) throws(LocalServerError) -> Stream {
        switch output {
        case .inherit:
            return Stream(descriptor: inherited, isOwned: false)
        case .discard:
            return Stream(descriptor: try open("/dev/null"))
        case .file(let path):
            return Stream(descriptor: try open(path))
        case .lines(let handler):
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0 else { throw .system("make a pipe", errno: errno) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return Stream(descriptor: ends[1], source: (ends[0], handler))
        }
    }

    private static func open(_ path: String) throws(LocalServerError) -> Int32 {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .system("write to \(path)", errno: errno) }
        return descriptor
    }
}
