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
        lines.append("Options, each also as an environment variable or a line in --config-file:")
        for setting in settings {
            lines.append("  \(setting.flagText)  [\(setting.environmentText)]")
            lines.append("      \(setting.fullHelp)")
        }
        lines.append("  --version")
        lines.append("      Prints the version.")
        lines.append("")
        lines.append("A flag goes before an environment variable, that before the file, that before the default.")
        return lines.joined(separator: "\n")
    }

    /// The section of `docs/configuration.md` about this program.
    var markdown: String {
        var lines = ["## \(name)", "", summary, ""]
        for command in commands {
            lines.append("- `\(command.name.isEmpty ? name : "\(name) \(command.name)")`: \(command.summary)")
        }
        lines += ["", "| option | environment variable | default | meaning |", "|---|---|---|---|"]
        for setting in settings {
            let standard =
                setting.defaultText.map { $0.isEmpty ? "" : "`\($0)`" } ?? (setting.isRequired ? "required" : "")
            let meaning = setting.unit.map { "\(setting.help) In \($0)." } ?? setting.help
            let cells = ["`\(setting.flagText)`", "`\(setting.environmentText)`", standard, meaning]
            lines.append("| " + cells.map(\.escapedForTable).joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n") + "\n"
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
