@testable import Postgres
import Testing

@Suite struct `A configuration` {
    static let password = "hunter2secret"

    @Test(arguments: [
        "host=db.example port=6432 dbname=trades user=writer password=\(password)",
        "postgresql://writer:\(password)@db.example:6432/trades",
        "postgresql://writer@db.example:6432/trades?password=\(password)",
    ])
    func `shows host, port, database and user, and no password`(string: String) throws {
        let configuration = try PostgresConfiguration(string, applicationName: "tests")
        #expect(configuration.redactedDescription == "host=db.example port=6432 dbname=trades user=writer")
        var dumped = ""
        dump(configuration, to: &dumped)
        for shown in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!shown.contains(Self.password))
        }
    }

    @Test(arguments: [
        "password=half \(password)",
        "password=\(password) nonsense=1",
        "postgresql://writer:%zz\(password)@db/trades",
        "postgresql://writer:pass@\(password)@db/trades",
        "postgresql://writer:pass/\(password)@db/trades",
        "postgresql://writer:pass?\(password)@db/trades",
        password,
    ])
    func `that cannot be read is refused without quoting it`(string: String) throws {
        let error = try failure { _ = try PostgresConfiguration(string, applicationName: "tests") }
        #expect(!error.debugDescription.contains(Self.password))
        #expect(!error.isRetriable)
    }

    @Test func `of nothing takes the surroundings' values`() throws {
        let shown = try PostgresConfiguration(applicationName: "tests").redactedDescription
        #expect(shown.contains("port=") && shown.contains("user="))
    }

    @Test func `names the application unless the string does`() throws {
        let query = "SELECT current_setting('application_name')"
        var unnamed = try connect()
        #expect(try unnamed.query(query).string(0, 0) == "tests")
        var named = try connect("application_name=mine")
        #expect(try named.query(query).string(0, 0) == "mine")
    }

    @Test func `adds keepalives unless the string sets them`() throws {
        let added = try PostgresConfiguration("host=db", applicationName: "tests")
        #expect(PostgresConfiguration.defaults.allSatisfy { added.parameters[$0.key] == $0.value })
        let own = try PostgresConfiguration("host=db keepalives_idle=77 connect_timeout=3", applicationName: "tests")
        #expect(own.parameters["keepalives_idle"] == "77")
        #expect(own.parameters["connect_timeout"] == "3")
    }

    @Test func `honours target_session_attrs`() throws {
        let error = try failure { _ = try connect("target_session_attrs=read-only") }
        #expect(error.isConnectionLost)
        #expect(error.message.contains("not read-only"))
        #expect(try connect("target_session_attrs=read-write").backendPID != 0)
    }
}
