import ServiceKit
import Synchronization

/// The recording that all connections write to. Thread-safe; what was appended is in the file at once.
final class ScenarioRecorder: Sendable {
    private let recording: Mutex<Recording?>
    private let fail: @Sendable (SystemError) -> Void

    /// - Parameters:
    ///   - path: nil for no recording.
    ///   - fail: told when the file cannot be written.
    init(path: String?, fail: @escaping @Sendable (SystemError) -> Void) throws(SystemError) {
        if let path {
            recording = Mutex(try Recording(path: path))
        } else {
            recording = Mutex(nil)
        }
        self.fail = fail
    }

    /// Notes a frame that has been handed to a client's socket.
    func append(_ frame: [UInt8], connection: Int, fault: String?) {
        write { recording, now in
            frame.withUnsafeBytes { recording.append($0, connection: connection, fault: fault, at: now) }
        }
    }

    /// Notes what happened to a connection.
    func append(event: String, connection: Int) {
        write { recording, now in recording.append(event: event, connection: connection, at: now) }
    }

    private func write(_ append: (inout Recording, Moment) -> Void) {
        do throws(SystemError) {
            try recording.withLock { recording throws(SystemError) in
                guard recording != nil else { return }
                let now = Moment.now()
                recording!.begin(at: now.instant)
                append(&recording!, now)
                try recording!.flush()
            }
        } catch {
            fail(error)
        }
    }
}
