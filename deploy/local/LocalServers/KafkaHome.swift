import Foundation

/// An unpacked Kafka distribution: `bin/kafka-server-start.sh` and what belongs to it.
package struct KafkaHome: Equatable, Sendable {
    /// The absolute path of the distribution.
    package let path: String

    /// - Throws: `.invalid` when the directory holds no Kafka.
    package init(path: String) throws(LocalServerError) {
        let path = URL(fileURLWithPath: path).standardizedFileURL.path
        for name in ["kafka-server-start.sh", "kafka-storage.sh"] where Executable.find("\(path)/bin/\(name)") == nil {
            throw LocalServerError(
                .invalid,
                "\(path) is not an unpacked Kafka distribution: there is no program bin/\(name) (see KAFKA_HOME)")
        }
        self.path = path
    }

    /// `KAFKA_HOME` when set, else `/opt/kafka`, else by `kafka-server-start.sh` on `PATH`; nil when there is none.
    ///
    /// - Throws: `.invalid` when `KAFKA_HOME` names something else than a Kafka.
    package static func find(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(LocalServerError) -> KafkaHome? {
        if let path = environment["KAFKA_HOME"], !path.isEmpty { return try KafkaHome(path: path) }
        if let home = try? KafkaHome(path: "/opt/kafka") { return home }
        guard let program = Executable.find("kafka-server-start.sh", environment: environment) else { return nil }
        let bin = URL(fileURLWithPath: program).resolvingSymlinksInPath().deletingLastPathComponent()
        return try? KafkaHome(path: bin.deletingLastPathComponent().path)
    }

    /// The path of a program in `bin`.
    package func program(_ name: String) -> String { "\(path)/bin/\(name)" }
}
