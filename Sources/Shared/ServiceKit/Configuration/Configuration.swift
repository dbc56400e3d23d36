/// A program's settings with their values, checked: where each came from, one precedence for all.
///
/// A flag goes before an environment variable, that before the file named by `--config-file`, that before the default.
package struct Configuration: Sendable {
    private let texts: [String: String]

    /// Reads and checks all settings.
    /// - Throws: `ConfigurationError`, naming the key, where its value came from, and the value unless it is secret.
    package init(
        settings: [any AnySetting], flags: [Flag], environment: [String: String],
        readFile: (String) throws -> String = readTextFile
    ) throws {
        var sources: [Source] = []
        var flagValues: [String: String] = [:]
        for flag in flags {
            guard let setting = settings.first(where: { $0.accepts(flag.name) }) else {
                throw ConfigurationError("there is no option --\(flag.name)")
            }
            guard let value = flag.value ?? (setting.takesValue || flag.name != setting.name ? nil : "true") else {
                throw ConfigurationError("--\(flag.name) needs a value: \(setting.typeName)")
            }
            flagValues[flag.name] = value
        }
        sources.append(Source(name: { "--\($0)" }, values: flagValues))
        var variables: [String: String] = [:]
        for setting in settings {
            for (key, variable) in setting.keys where environment[variable].map({ !$0.isEmpty }) == true {
                variables[key] = environment[variable]
            }
        }
        sources.append(Source(name: { Self.variable($0, settings) }, values: variables))
        if let path = flagValues["config-file"] ?? environment["CONFIG_FILE"] {
            let text: String
            do {
                text = try readFile(path)
            } catch {
                throw ConfigurationError("--config-file '\(path)': \(error)")
            }
            let values = try Self.parseFile(text, path: path, settings: settings)
            sources.append(Source(name: { "\(Self.variable($0, settings)) in \(path)" }, values: values))
        }
        var texts: [String: String] = [:]
        for setting in settings {
            texts[setting.name] = try Self.resolve(setting, sources, readFile)
        }
        self.texts = texts
    }

    /// A flag as it stood on the command line.
    package struct Flag: Sendable {
        package let name: String
        package let value: String?

        package init(name: String, value: String?) {
            self.name = name
            self.value = value
        }
    }

    private struct Source {
        let name: (String) -> String
        let values: [String: String]
    }

    private static func resolve(
        _ setting: any AnySetting, _ sources: [Source], _ readFile: (String) throws -> String
    ) throws -> String? {
        for source in sources {
            if let text = source.values[setting.name] {
                try check(text, of: setting, from: source.name(setting.name))
                return text
            }
            let fileKey = setting.name + "-file"
            if setting.isSecret, let path = source.values[fileKey] {
                let text: String
                do {
                    text = String(try readFile(path).trimmingSpaces)
                } catch {
                    throw ConfigurationError("\(source.name(fileKey)) '\(path)': \(error)")
                }
                try check(text, of: setting, from: source.name(fileKey))
                return text
            }
        }
        if setting.isRequired, setting.defaultText == nil {
            let flag = setting.isSecret ? "--\(setting.name)-file" : "--\(setting.name)"
            throw ConfigurationError("\(flag) (or \(setting.environment)) is missing: \(setting.help)")
        }
        return setting.defaultText
    }

    private static func check(_ text: String, of setting: any AnySetting, from source: String) throws {
        guard let problem = setting.problem(with: text) else { return }
        let shown = setting.isSecret ? "" : " is '\(text)':"
        throw ConfigurationError("\(source)\(shown) \(problem)")
    }

    private static func variable(_ key: String, _ settings: [any AnySetting]) -> String {
        settings.lazy.flatMap(\.keys).first { $0.key == key }?.variable ?? key
    }

    /// Reads `KEY=value` lines: the form of systemd's `EnvironmentFile` and of compose's `env_file`.
    private static func parseFile(
        _ text: String, path: String, settings: [any AnySetting]
    ) throws -> [String: String] {
        var values: [String: String] = [:]
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.trimmingSpaces
            if content.isEmpty || content.hasPrefix("#") { continue }
            guard let equals = content.firstIndex(of: "=") else {
                throw ConfigurationError("\(path), line \(index + 1): expected KEY=value")
            }
            let variable = content[..<equals].trimmingSpaces
            // Other programs' keys may stand in a file that they share.
            guard let key = settings.lazy.flatMap(\.keys).first(where: { $0.variable == variable })?.key else {
                continue
            }
            values[key] = unquoted(content[content.index(after: equals)...].trimmingSpaces)
        }
        return values
    }

    private static func unquoted(_ text: Substring) -> String {
        for quote in ["\"", "'"] where text.count >= 2 && text.hasPrefix(quote) && text.hasSuffix(quote) {
            return String(text.dropFirst().dropLast())
        }
        return String(text)
    }

    /// The value of a setting that has a default or is required.
    package subscript<Value>(setting: Setting<Value>) -> Value {
        guard let value = self[optional: setting] else {
            preconditionFailure("the setting \(setting.name) has no default, is not required, or was not declared")
        }
        return value
    }

    /// The value of a setting that may be left out.
    package subscript<Value>(optional setting: Setting<Value>) -> Value? {
        texts[setting.name].flatMap { try? setting.read($0) }
    }
}

extension AnySetting {
    /// The names that stand for this setting in a source: key and variable. A secret has one more, for a file with it.
    fileprivate var keys: [(key: String, variable: String)] {
        let own = [(key: name, variable: environment)]
        return isSecret ? own + [(key: name + "-file", variable: environment + "_FILE")] : own
    }

    fileprivate func accepts(_ flag: String) -> Bool {
        flag == (isSecret ? name + "-file" : name)
    }
}

/// A configuration that cannot be used: what is wrong, and where.
package struct ConfigurationError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
