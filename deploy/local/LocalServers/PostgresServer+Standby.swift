/// A second server that follows the first one and can take its place.
extension PostgresServer {
    /// Copies a running server into this one's place, so that `start` makes this one its hot standby.
    package func follow(_ primary: PostgresServer) async throws(LocalServerError) {
        try prepareDirectories()
        try write(
            "127.0.0.1:*:*:\(Self.user):\(try primary.password())", to: passwordFile)
        try await ChildProcess.run(
            installation.program("pg_basebackup"),
            [
                "-D", data, "-h", primary.socketDirectory, "-p", String(primary.port), "-U", Self.user,
                "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
            ], environment: Self.environment, user: systemUser?.name)
    }

    /// Makes a standby a server that writes; returns when it does.
    package func promote() async throws(LocalServerError) {
        try await ChildProcess.run(
            installation.program("pg_ctl"), ["-D", data, "-w", "promote"], environment: Self.environment,
            user: systemUser?.name)
    }
}
