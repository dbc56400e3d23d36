#if DEBUG
    import Glibc
    import Postgres
    import Synchronization

    /// The point of `Failpoint` or `PeriodicFailpoint` that the environment arms, and what happens there.
    struct ArmedFailpoint {
        /// What an armed point does.
        enum Action: String {
            /// The process kills itself.
            case crash
            /// The process stops until somebody lets it go on.
            case stop
            /// The connection is lost, and the process does not know yet.
            case cut
            /// A statement of the transaction fails, and nobody looks.
            case spoil
        }

        let point: String
        /// Whether transactions are to have all their steps.
        let needsSteps: Bool
        /// nil for periodic work, which has no topic.
        private let topic: String?
        private let number: Int64
        private let action: Action

        /// Reads `point:topic=NAME:offset=NUMBER:action`, or `point:number=NUMBER:action`.
        private init?(_ text: String) {
            var parts = text.split(separator: ":")[...]
            guard let point = parts.popFirst(), let action = parts.popLast().flatMap({ Action(rawValue: String($0)) })
            else { return nil }
            let values = Dictionary(
                parts.map { part in
                    let sides = part.split(separator: "=", maxSplits: 1)
                    return (sides[0], String(sides.last ?? ""))
                }, uniquingKeysWith: { first, _ in first })
            let isReader = Failpoint(rawValue: String(point)) != nil
            guard isReader || PeriodicFailpoint(rawValue: String(point)) != nil,
                Set(values.keys).subtracting(["steps"]) == (isReader ? ["topic", "offset"] : ["number"]),
                let number = (values["offset"] ?? values["number"]).flatMap({ Int64($0) })
            else { return nil }
            (self.point, topic, self.number, self.action) = (String(point), values["topic"], number, action)
            needsSteps = values["steps"] == "yes"
        }

        static let current: ArmedFailpoint? = {
            guard let text = getenv("TICKSTREAM_FAILPOINT").map({ String(cString: $0) }) else { return nil }
            guard let armed = ArmedFailpoint(text) else { giveUp("TICKSTREAM_FAILPOINT cannot be read: \(text)") }
            return armed
        }()
        private static let hasFired = Atomic(false)

        /// Fires when this point is armed for this topic and number, or a smaller one, and none has fired.
        /// - Parameters:
        ///   - arriving: called before anything happens.
        ///   - failing: does what needs a connection; false when there is none for it.
        static func reach(
            _ point: String, _ topic: String?, _ number: Int64, arriving: () -> Void = {}, _ failing: (Action) -> Bool
        ) {
            guard let armed = current, armed.point == point, armed.topic == topic, number >= armed.number,
                !hasFired.exchange(true, ordering: .relaxed)
            else { return }
            arriving()
            say("failpoint \(point) at \(topic == nil ? "number" : "offset") \(number): \(armed.action.rawValue)")
            switch armed.action {
            // To this thread, which then does not go on for a moment; both take the whole process.
            case .crash: raise(SIGKILL)
            case .stop: raise(SIGSTOP)
            case .cut, .spoil:
                guard failing(armed.action) else { giveUp("\(point) has no use for \(armed.action.rawValue)") }
            }
        }

        /// The same where there is a connection for what needs one. What is to go out with its next statement goes out before.
        static func reach(
            _ point: String, _ topic: String?, _ number: Int64, _ connection: inout PostgresConnection
        ) {
            reach(point, topic, number, arriving: { _ = try? connection.execute("") }) { action in
                switch action {
                case .cut: connection.cut()
                case .spoil: _ = try? connection.execute("SELECT 1 / 0")
                case .crash, .stop: return false
                }
                return true
            }
        }

        private static func say(_ words: String) {
            let line = Array("\(words)\n".utf8)
            write(STDERR_FILENO, line, line.count)
        }

        private static func giveUp(_ reason: String) -> Never {
            say(reason)
            exit(64)
        }
    }
#endif
