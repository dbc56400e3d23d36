/// What a chaos campaign does to the readers and to what they depend on.
enum Fault: String, CaseIterable {
    /// A reader is killed, and starts again.
    case kill
    /// A reader stands still for longer than its session in the group, and goes on.
    case freeze
    /// PostgreSQL ends a reader's connection.
    case cut
    /// PostgreSQL is restarted in the immediate mode.
    case database
    /// The broker is killed, and starts again.
    case broker
    /// One consumer more.
    case join
    /// A consumer stops in order.
    case leave
}
