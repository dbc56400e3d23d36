import Foundation
import Glibc
import Synchronization

/// What this process takes with it when it exits: the children still running, then the temporary directories.
///
/// A test suite's shared server has no one who stops it; the parent-death signal would end it, but too late to
/// remove its directory.
enum ExitCleanup {
    private struct Items {
        var isRegistered = false
        var children: [ObjectIdentifier: ChildState] = [:]
        var directories: Set<String> = []
    }

    private static let items = Mutex(Items())

    static func add(_ child: ChildState) { change { $0.children[ObjectIdentifier(child)] = child } }
    static func remove(_ child: ChildState) { change { $0.children[ObjectIdentifier(child)] = nil } }
    static func add(directory: String) { change { $0.directories.insert(directory) } }
    static func remove(directory: String) { change { $0.directories.remove(directory) } }

    private static func change(_ body: (inout Items) -> Void) {
        items.withLock {
            if !$0.isRegistered {
                $0.isRegistered = true
                atexit(run)
            }
            body(&$0)
        }
    }

    private static let run: @convention(c) () -> Void = {
        let (children, directories) = items.withLock { (Array($0.children.values), $0.directories) }
        for child in children { child.kill(child.deathSignal) }
        let deadline = ContinuousClock.now + .seconds(5)
        while children.contains(where: \.isRunning) && ContinuousClock.now < deadline { usleep(5_000) }
        for child in children { child.kill(SIGKILL) }
        for directory in directories { TemporaryDirectory.remove(directory) }
    }
}
