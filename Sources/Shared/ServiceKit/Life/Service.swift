/// A long-lived part of a program.
package protocol Service: Sendable {
    /// A short name for logs and for the thread.
    var name: String { get }

    /// Runs on a thread of its own until the signal asks it to stop, or until its work is done.
    ///
    /// When it returns or throws before it was asked, the whole program stops.
    func run(until shutdown: ShutdownSignal) throws
}
