extension Program {
    /// What `--help` prints.
    var helpText: String {
        var lines = ["\(name): \(summary)", "", "Usage: \(name) [command] [options]", ""]
        if commands.contains(where: { !$0.name.isEmpty }) {
            lines.append("Commands:")
            let width = commands.map(\.name.count).max() ?? 0
            for command in commands {
                let shown = command.name.isEmpty ? "(none)" : command.name
                lines.append("  \(shown.padded(to: max(width, 6)))  \(command.summary)")
            }
            lines.append("")
        }
        if commands.contains(where: { !$0.settings.isEmpty }) {
            lines += ["What a command takes, and options of its own: \(name) COMMAND --help", ""]
        }
        lines += helpOnOptions(settings)
        lines.append("  --version")
        lines.append("      Prints the version.")
        return (lines + Self.helpOnSources).joined(separator: "\n")
    }

    /// What `--help` prints behind a command: what it takes, and nothing else.
    func helpText(of command: Command) -> String {
        var lines = ["\(fullName(of: command)): \(command.summary)", ""]
        if !command.details.isEmpty { lines += [command.details, ""] }
        lines += ["Usage: \(fullName(of: command)) [options]", ""]
        if !command.settings.isEmpty {
            lines.append("Its own options:")
            for setting in command.settings { lines += ["  \(setting.flagText)", "      \(setting.fullHelp)"] }
            lines.append("")
        }
        lines += helpOnOptions(settings.filter { setting in !command.ignored.contains { $0.name == setting.name } })
        return (lines + Self.helpOnSources).joined(separator: "\n")
    }

    private func helpOnOptions(_ settings: [any AnySetting]) -> [String] {
        ["Options, each also as an environment variable or a line in --config-file:"]
            + settings.flatMap { ["  \($0.flagText)  [\($0.environmentText)]", "      \($0.fullHelp)"] }
    }

    private static let helpOnSources = [
        "", "A flag goes before an environment variable, that before the file, that before the default.",
    ]

    /// The section of `docs/configuration.md` about this program.
    var markdown: String {
        var lines = ["## \(name)", "", summary, ""]
        for command in commands { lines.append("- `\(fullName(of: command))`: \(command.summary)") }
        lines += ["", "| option | environment variable | default | meaning |", "|---|---|---|---|"]
        for setting in settings {
            lines.append(row(["`\(setting.flagText)`", "`\(setting.environmentText)`"] + setting.defaultAndMeaning))
        }
        for command in commands where !command.settings.isEmpty {
            lines += ["", "### \(fullName(of: command))", "", command.summary, ""]
            if !command.details.isEmpty { lines += [command.details, ""] }
            lines += ["| option | default | meaning |", "|---|---|---|"]
            for setting in command.settings { lines.append(row(["`\(setting.flagText)`"] + setting.defaultAndMeaning)) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func row(_ cells: [String]) -> String {
        "| " + cells.map(\.escapedForTable).joined(separator: " | ") + " |"
    }
}

extension AnySetting {
    fileprivate var flagText: String {
        takesValue ? "--\(flag) \(flag.split(separator: "-").last!.uppercased())" : "--\(flag)"
    }

    fileprivate var environmentText: String {
        isSecret ? "\(environment) or \(environment)_FILE" : environment
    }

    fileprivate var fullHelp: String {
        var text = help
        if let unit { text += " In \(unit)." }
        if isRequired {
            text += " Required."
        } else if let defaultText, !defaultText.isEmpty {
            text += " Default: \(defaultText)."
        }
        return text
    }

    /// The last two cells of a table's row.
    fileprivate var defaultAndMeaning: [String] {
        let standard = defaultText.map { $0.isEmpty ? "" : "`\($0)`" } ?? (isRequired ? "required" : "")
        return [standard, unit.map { "\(help) In \($0)." } ?? help]
    }
}

extension String {
    fileprivate var escapedForTable: String {
        String(flatMap { $0 == "|" ? "\\|" : String($0) })
    }

    /// The text with spaces behind it up to a width.
    package func padded(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }
}
