import Glibc

/// A command-line program: its settings, its commands, and what all programs do the same way around them.
package struct Program: Sendable {
    package let name: String
    /// One sentence for the top of `--help`.
    package let summary: String
    /// The settings of all commands; the common ones are added.
    package let settings: [any AnySetting]
    package let commands: [Command]

    /// One thing that the program can do. The command with the empty name runs when none is given.
    package struct Command: Sendable {
        package let name: String
        package let summary: String
        let details: String
        let settings: [any AnySetting]
        let ignored: [any AnySetting]
        let run: @Sendable (Configuration, Logger) throws -> Void

        /// Declares a command.
        /// - Parameters:
        ///   - name: one word or several.
        ///   - details: what its own `--help` says below the summary.
        ///   - settings: its own, which only its flags give: what one run is to do comes from no file and no environment.
        ///   - ignored: settings of the program that this command does not read: it runs without them.
        package init(
            _ name: String, _ summary: String, details: String = "", settings: [any AnySetting] = [],
            ignoring ignored: [any AnySetting] = [],
            run: @escaping @Sendable (Configuration, Logger) throws -> Void
        ) {
            self.name = name
            self.summary = summary
            self.details = details
            self.settings = settings
            self.ignored = ignored
            self.run = run
        }
    }

    package init(name: String, summary: String, settings: [any AnySetting], commands: [Command]) {
        self.name = name
        self.summary = summary
        self.settings = settings + [LogSettings.level, LogSettings.format, Self.configFile]
        self.commands = commands
    }

    package static let version = "0.1.0"

    private static let configFile = Setting<String>(
        "config-file", help: "A file of KEY=value lines with the names of the environment variables.")

    /// Reads the command line and runs the command. Never returns: 0 after success, 1 after a failure, 2 after a mistake
    /// in the command line or the configuration.
    ///
    /// Call it first in `main`: it blocks the signals that `ServiceGroup` waits for before any thread exists.
    package func main() -> Never {
        ServiceGroup.blockSignals()
        if settings.contains(where: { $0.isSecret }) { Self.forbidCoreFiles() }
        let environment = Self.environment()
        var asked = name
        do {
            let invocation = try parse(Array(CommandLine.arguments.dropFirst()))
            switch invocation {
            case .help(let command): print(command.map(helpText) ?? helpText)
            case .helpMarkdown: print(markdown)
            case .version: print("\(name) \(Self.version)")
            case .run(let command, let flags):
                asked = fullName(of: command)
                let configuration = try Configuration(
                    settings: settings, ignoring: command.ignored, ofCommand: command.settings, flags: flags,
                    environment: environment)
                let logger = Logger(label: name, configuration: configuration)
                do {
                    try command.run(configuration, logger)
                } catch let error where !(error is ConfigurationError) {
                    logger.critical("stopped by an error", ["error": "\(error)"])
                    endProcess(1)
                }
            }
            endProcess(0)
        } catch {
            writeToStandardError("\(name): \(error)\nSee '\(asked) --help'.\n")
            endProcess(2)
        }
    }

    enum Invocation {
        /// About one command, or the whole program.
        case help(Command?)
        case helpMarkdown
        case version
        case run(Command, [Configuration.Flag])
    }

    func parse(_ arguments: [String]) throws -> Invocation {
        var words: [String] = []
        var flags: [Configuration.Flag] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--help", "-h": return .help(command(words).flatMap { $0.name.isEmpty ? nil : $0 })
            case "--help-markdown": return .helpMarkdown
            case "--version": return .version
            default: break
            }
            guard argument.hasPrefix("-") else {
                words.append(argument)
                continue
            }
            guard argument.hasPrefix("--") else {
                throw ConfigurationError("there is no option \(argument); options begin with two dashes")
            }
            let text = argument.dropFirst(2)
            if let equals = text.firstIndex(of: "=") {
                let value = String(text[text.index(after: equals)...])
                flags.append(Configuration.Flag(name: String(text[..<equals]), value: value))
            } else {
                // What looks like the next option is no value; `--name=--value` says that it is.
                let isAlone =
                    (settings + commands.flatMap(\.settings)).contains { $0.flag == text && !$0.takesValue }
                    || rest.first?.hasPrefix("--") == true
                flags.append(Configuration.Flag(name: String(text), value: isAlone ? nil : rest.popFirst()))
            }
        }
        guard let command = command(words) else {
            let wanted = words.joined(separator: " ")
            let known = commands.map(\.name).filter { !$0.isEmpty }.joined(separator: ", ")
            let problem = wanted.isEmpty ? "a command is missing" : "there is no command '\(wanted)'"
            throw ConfigurationError(known.isEmpty ? problem : "\(problem); there are: \(known)")
        }
        return .run(command, flags)
    }

    private func command(_ words: [String]) -> Command? {
        commands.first { $0.name == words.joined(separator: " ") }
    }

    /// What one types to run a command.
    func fullName(of command: Command) -> String {
        command.name.isEmpty ? name : "\(name) \(command.name)"
    }

    /// A core file would hold the secrets. The limit of one byte forbids core files also where the kernel hands them to a
    /// program (`core_pattern` with `|`), which the limit of zero does not.
    private static func forbidCoreFiles() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
        limit.rlim_max = min(limit.rlim_max, 1)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &limit)
    }

    private static func environment() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return variables
    }
}

/// Writes to standard error in one call, so that lines of several threads do not mix.
func writeToStandardError(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
        var start = 0
        while start < bytes.count {
            let written = write(STDERR_FILENO, bytes.baseAddress! + start, bytes.count - start)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return }
            start += written
        }
    }
}
