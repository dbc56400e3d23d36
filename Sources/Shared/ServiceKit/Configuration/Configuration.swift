/// A program's settings with their values, checked: where each came from, one precedence for all.
///
/// A flag goes before an environment variable, that before the file named by `--config-file`, that before the default.
/// An empty variable, or an empty value in the file, counts as unset.
package struct Configuration: Sendable {
    private let texts: [String: String]

    /// Reads and checks all settings.
    /// - Parameters:
    ///   - ignored: those of the settings that nobody will ask for: they may be given, and need not be.
    ///   - own: the command's own, which only flags give.
    /// - Throws: `ConfigurationError`, naming the key, where its value came from, and the value unless it is secret.
    package init(
        settings: [any AnySetting], ignoring ignored: [any AnySetting] = [], ofCommand own: [any AnySetting] = [],
        flags: [Flag], environment: [String: String],
        readFile: (String) throws -> String = readTextFile
    ) throws {
        var sources: [Source] = []
        var flagValues: [String: String] = [:]
        for flag in flags {
            guard let setting = (settings + own).first(where: { $0.flag == flag.name }) else {
                throw Self.unknown(flag.name, settings + own)
            }
            guard let value = flag.value ?? (setting.takesValue ? nil : "true") else {
                let type = setting.isSecret ? "the path of a file" : setting.typeName
                throw ConfigurationError("--\(flag.name) needs a value: \(type)")
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
        if let (source, path) = sources.lazy.compactMap({ source in
            source.values["config-file"].map { (source.name("config-file"), $0) }
        }).first {
            let text: String
            do {
                text = try readFile(path)
            } catch {
                throw ConfigurationError("\(source): \(error)")
            }
            let values = try Self.parseFile(text, path: path, settings: settings)
            sources.append(Source(name: { "\(Self.variable($0, settings)) in \(path)" }, values: values))
        }
        var texts: [String: String] = [:]
        for setting in settings where !ignored.contains(where: { $0.name == setting.name }) {
            texts[setting.name] = try Self.resolve(setting, sources, readFile)
        }
        for setting in own { texts[setting.name] = try Self.resolve(setting, [sources[0]], readFile) }
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
                    throw ConfigurationError("\(source.name(fileKey)): \(error)")
                }
                guard !text.isEmpty else { throw ConfigurationError("\(source.name(fileKey)): '\(path)' is empty") }
                try check(text, of: setting, from: source.name(fileKey))
                return text
            }
        }
        guard let text = setting.defaultText else {
            guard !setting.isRequired else {
                let other = sources.count > 1 ? " (or \(setting.environment))" : ""
                throw ConfigurationError("--\(setting.flag)\(other) is missing: \(setting.help)")
            }
            return nil
        }
        try check(text, of: setting, from: "the default of --\(setting.flag)")
        return text
    }

    private static func unknown(_ flag: String, _ settings: [any AnySetting]) -> ConfigurationError {
        if let secret = settings.first(where: { $0.isSecret && $0.name == flag }) {
            return ConfigurationError(
                "--\(flag) is secret, and options stand in the process list for all to see; "
                    + "put it in a file and name that with --\(secret.flag), or set \(secret.environment)")
        }
        let hint = nearest(to: flag, in: settings.map(\.flag)).map { "; did you mean --\($0)?" } ?? ""
        return ConfigurationError("there is no option --\(flag)\(hint)")
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
        for (variable, text) in try keyValueLines(text, path: path) {
            // Other programs' keys may stand in a file that they share.
            guard let key = settings.lazy.flatMap(\.keys).first(where: { $0.variable == variable })?.key else {
                continue
            }
            let value = unquoted(text)
            values[key] = value.isEmpty ? nil : value
        }
        return values
    }

    private static func unquoted(_ text: String) -> String {
        for quote in ["\"", "'"] where text.count >= 2 && text.hasPrefix(quote) && text.hasSuffix(quote) {
            return String(text.dropFirst().dropLast())
        }
        return text
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

    /// The option's name on the command line: of a secret only its file can be named there.
    var flag: String { isSecret ? name + "-file" : name }
}

/// A configuration that cannot be used: what is wrong, and where.
package struct ConfigurationError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
