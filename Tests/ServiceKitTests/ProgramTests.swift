import Testing

@testable import ServiceKit

struct ProgramTests {
    private static let program = Program(
        name: "producer", summary: "Feed to topic.",
        settings: [
            Setting<String>("kafka-topic", default: "trades", help: "The topic | its name."),
            Setting<Int>("batch-wait", default: "5", unit: "milliseconds", help: "How long a batch may wait."),
            Setting<String>("feed-url", environment: "FEED", isRequired: true, help: "Where the feed is."),
            Setting<String>("feed-token", isSecret: true, help: "The token."),
            Setting<Bool>("dry-run", default: "false", help: "Whether to write nothing."),
        ],
        commands: [
            Program.Command("", "Runs.") { _, _ in },
            Program.Command("check", "Checks the configuration.") { _, _ in },
            Program.Command(
                "threshold set", "Sets a threshold.", details: "It counts at once.",
                settings: [
                    Setting<Int>("number", isRequired: true, help: "Which one."),
                    Setting<Bool>("quietly", default: "false", help: "Whether to say nothing."),
                ],
                ignoring: [Setting<String>("feed-url", help: "")]
            ) { _, _ in },
        ])
    private static let thresholdSet = program.commands[2]

    private static func parse(_ arguments: String...) throws -> (command: String, flags: [String]) {
        guard case .run(let command, let flags) = try program.parse(arguments) else { return ("no command", []) }
        return (command.name, flags.map { "\($0.name)=\($0.value ?? "nothing")" })
    }

    @Test func `flags take the next argument or what stands behind an equals sign`() throws {
        let (command, flags) = try Self.parse("--kafka-topic", "a", "--feed-url=ws://x?a=b", "--batch-wait=")
        #expect(command == "")
        #expect(flags == ["kafka-topic=a", "feed-url=ws://x?a=b", "batch-wait="])
    }

    @Test func `a value may begin with one dash`() throws {
        #expect(try Self.parse("--batch-wait", "-5").flags == ["batch-wait=-5"])
    }

    @Test func `the next option is not swallowed as a value`() throws {
        #expect(
            try Self.parse("--kafka-topic", "--dry-run", "check").flags == ["kafka-topic=nothing", "dry-run=nothing"])
        #expect(try Self.parse("--kafka-topic=--dry-run").flags == ["kafka-topic=--dry-run"])
        #expect(try Self.parse("--kafka-topic").flags == ["kafka-topic=nothing"])
    }

    @Test func `a switch leaves the next argument alone`() throws {
        let (command, flags) = try Self.parse("--dry-run", "check")
        #expect(command == "check")
        #expect(flags == ["dry-run=nothing"])
    }

    @Test func `a command may have several words, with flags around and between them`() throws {
        let (command, flags) = try Self.parse("--dry-run", "threshold", "--batch-wait", "1", "set")
        #expect(command == "threshold set")
        #expect(flags == ["dry-run=nothing", "batch-wait=1"])
    }

    @Test func `a switch of a command leaves the next argument alone, too`() throws {
        let (command, flags) = try Self.parse("threshold", "--quietly", "set")
        #expect(command == "threshold set")
        #expect(flags == ["quietly=nothing"])
    }

    private static func configuration(
        _ command: Program.Command, _ flags: [(String, String?)], _ environment: [String: String] = [:]
    ) throws -> Configuration {
        try Configuration(
            settings: program.settings, ignoring: thresholdSet.ignored, ofCommand: command.settings,
            flags: flags.map { Configuration.Flag(name: $0.0, value: $0.1) }, environment: environment)
    }

    @Test func `a command's own settings come from its flags alone, and are refused elsewhere`() throws {
        let number = Setting<Int>("number", help: "")
        let read = try Self.configuration(Self.thresholdSet, [("number", "3"), ("batch-wait", "7")], ["NUMBER": "4"])
        #expect(read[number] == 3)
        #expect(read[Setting<Int>("batch-wait", help: "")] == 7)
        #expect(
            message { _ = try Self.configuration(Self.thresholdSet, [], ["NUMBER": "4"]) }
                == "--number is missing: Which one.")
        #expect(
            message { _ = try Self.configuration(Self.program.commands[1], [("number", "3")]) }
                == "there is no option --number")
    }

    @Test func `an unknown command is an error that lists the known ones`() {
        #expect(
            message { _ = try Self.parse("chekc") } == "there is no command 'chekc'; there are: check, threshold set")
        let plain = Program(name: "x", summary: "", settings: [], commands: [.init("", "Runs.") { _, _ in }])
        #expect(message { _ = try plain.parse(["check"]) } == "there is no command 'check'")
    }

    @Test func `a missing command is an error where none is the standard one`() {
        let strict = Program(name: "x", summary: "", settings: [], commands: [.init("run", "Runs.") { _, _ in }])
        #expect(message { _ = try strict.parse([]) } == "a command is missing; there are: run")
    }

    @Test func `one dash is no option`() {
        #expect(message { _ = try Self.parse("-t", "x") } == "there is no option -t; options begin with two dashes")
    }

    @Test(arguments: ["--help", "-h", "--help-markdown", "--version"])
    func `what asks about the program goes before all else`(argument: String) throws {
        switch (argument, try Self.program.parse(["--dry-run", argument, "no-command"])) {
        case ("--help", .help), ("-h", .help), ("--help-markdown", .helpMarkdown), ("--version", .version): break
        case (_, let invocation): Issue.record("\(argument) gave \(invocation)")
        }
    }

    @Test func `a flag without its value does not hide the call for help`() throws {
        guard case .help = try Self.program.parse(["--kafka-topic", "--help"]) else {
            Issue.record("no help")
            return
        }
    }

    @Test func `help behind a command is about that command`() throws {
        guard case .help(let command?) = try Self.program.parse(["threshold", "set", "--number", "--help"]) else {
            Issue.record("no help of a command")
            return
        }
        let help = Self.program.helpText(of: command)
        #expect(help.hasPrefix("producer threshold set: Sets a threshold.\n\nIt counts at once.\n\n"))
        #expect(help.contains("\n  --number NUMBER\n      Which one. Required.\n"))
        #expect(help.contains("\n  --quietly\n      Whether to say nothing. Default: false.\n"))
        #expect(help.contains("\n  --batch-wait WAIT  [BATCH_WAIT]\n"))
        #expect(!help.contains("--feed-url"))
        guard case .help(nil) = try Self.program.parse(["threshold", "--help"]) else {
            Issue.record("no help of the program")
            return
        }
        #expect(!Self.program.helpText.contains("--number"))
        #expect(Self.program.helpText.contains("options of its own: producer COMMAND --help"))
    }

    @Test func `the help lists every setting once with its default and its variable`() {
        let help = Self.program.helpText
        let lines = help.split(separator: "\n")
        for setting in Self.program.settings {
            let variable = setting.environment
            let variables = setting.isSecret ? "\(variable) or \(variable)_FILE" : variable
            #expect(lines.count { $0.hasPrefix("  --\(setting.flag)") && $0.hasSuffix("  [\(variables)]") } == 1)
            #expect(lines.count { $0.contains("--\(setting.flag) ") || $0.contains("[\(variables)]") } == 1)
        }
        #expect(help.contains("  --batch-wait WAIT  [BATCH_WAIT]\n"))
        #expect(help.contains("      How long a batch may wait. In milliseconds. Default: 5.\n"))
        #expect(help.contains("  --feed-url URL  [FEED]\n      Where the feed is. Required.\n"))
        #expect(help.contains("  --feed-token-file FILE  [FEED_TOKEN or FEED_TOKEN_FILE]\n"))
        #expect(!help.contains("--feed-token "))
        #expect(help.contains("  --dry-run  [DRY_RUN]\n"))
        #expect(lines.allSatisfy { $0.count <= 120 })
    }

    @Test func `the help lists the commands, and every program logs and reads a file`() {
        let help = Self.program.helpText
        #expect(help.hasPrefix("producer: Feed to topic.\n"))
        #expect(help.contains("  (none)         Runs.\n"))
        #expect(help.contains("  threshold set  Sets a threshold.\n"))
        for flag in ["--log-level", "--log-format", "--config-file", "--version"] { #expect(help.contains(flag)) }
    }

    @Test func `the markdown is a table with a row a setting`() {
        let sections = Self.program.markdown.split(separator: "### ")
        let rows = sections[0].split(separator: "\n").filter { $0.hasPrefix("|") }
        #expect(rows.count == Self.program.settings.count + 2)
        #expect(sections.count == 2)
        #expect(
            sections[1] == """
                producer threshold set

                Sets a threshold.

                It counts at once.

                | option | default | meaning |
                |---|---|---|
                | `--number NUMBER` | required | Which one. |
                | `--quietly` | `false` | Whether to say nothing. |

                """)
        for row in rows {
            let bars = row.replacing("\\|", with: "").count { $0 == "|" }
            #expect(bars == 5, "\(row)")
        }
        #expect(
            rows.contains(
                "| `--batch-wait WAIT` | `BATCH_WAIT` | `5` | How long a batch may wait. In milliseconds. |"))
        #expect(rows.contains("| `--feed-url URL` | `FEED` | required | Where the feed is. |"))
        #expect(rows.contains("| `--kafka-topic TOPIC` | `KAFKA_TOPIC` | `trades` | The topic \\| its name. |"))
        #expect(
            rows.contains("| `--feed-token-file FILE` | `FEED_TOKEN or FEED_TOKEN_FILE` |  | The token. |"))
        #expect(Self.program.markdown.contains("- `producer check`: Checks the configuration.\n"))
    }
}
