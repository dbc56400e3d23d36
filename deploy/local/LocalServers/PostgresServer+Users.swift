/// The users as which the pipeline's programs work: each may do what its program does, and no more.
extension PostgresServer {
    /// A program that works on the tables, with the group that the schema gives its rights to.
    package enum Program: String, CaseIterable, Sendable {
        case consumer
        case kpiService = "kpi-service"

        fileprivate var user: String { self == .consumer ? "tickstream_consumer" : "tickstream_kpi_service" }
        fileprivate var group: String { self == .consumer ? "tickstream_ingest" : "tickstream_kpi" }
    }

    /// For libpq, over the unix socket, where no password is asked for.
    package func connectionString(database: String, of program: Program) -> String {
        "postgresql:///\(encoded(database))?host=\(encoded(socketDirectory))&port=\(port)&user=\(program.user)"
    }

    /// Makes the users unless they are there. The schema, which has their groups, must be in one of the databases.
    package func createUsers() async throws(LocalServerError) {
        let statements = Program.allCases.map { program in
            """
            BEGIN
                CREATE ROLE \(program.user) LOGIN IN ROLE \(program.group);
            EXCEPTION WHEN duplicate_object THEN NULL;
            END;
            """
        }
        try await ChildProcess.run(
            "psql",
            [
                "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", socketDirectory, "-p", String(port), "-U", Self.user, "-d",
                "postgres", "-c", "DO $$ BEGIN \(statements.joined(separator: "\n")) END $$",
            ], environment: Self.environment)
    }
}
