/// One configuration key: everything that is known of it, in one declaration.
///
/// Flags, environment variables, the file's keys, `--help`, `docs/configuration.md` and validation all come from here.
/// A secret has no flag, since flags stand in the process list; it may come from a file named by `--<name>-file` or
/// `<VARIABLE>_FILE` instead.
package struct Setting<Value: SettingValue>: AnySetting {
    package let name: String
    package let environment: String
    package let defaultText: String?
    package let isRequired: Bool
    package let isSecret: Bool
    package let unit: String?
    package let help: String
    private let rule: @Sendable (Value) -> String?

    /// Declares a key.
    /// - Parameters:
    ///   - name: in kebab case, which is also the flag `--name`.
    ///   - environment: the variable; the name in capitals where nothing is given.
    ///   - defaultText: what is read when nobody says otherwise, in the form a user would write it.
    ///   - isRequired: whether a run without it is an error.
    ///   - unit: of a number, such as `seconds`.
    ///   - help: one sentence, without the default.
    ///   - rule: answers what is wrong with a value that has the right type, without repeating it; nil when nothing is.
    package init(
        _ name: String, environment: String? = nil, default defaultText: String? = nil, isRequired: Bool = false,
        isSecret: Bool = false, unit: String? = nil, help: String,
        rule: @escaping @Sendable (Value) -> String? = { _ in nil }
    ) {
        self.name = name
        self.environment = environment ?? Self.variable(for: name)
        self.defaultText = defaultText
        self.isRequired = isRequired
        self.isSecret = isSecret
        self.unit = unit
        self.help = help
        self.rule = rule
    }

    private static func variable(for name: String) -> String {
        String(name.map { $0 == "-" ? "_" : Character($0.uppercased()) })
    }

    package var typeName: String { Value.typeName }

    package var takesValue: Bool { Value.self != Bool.self }

    /// Reads a value, or throws what is wrong with it.
    func read(_ text: String) throws(SettingProblem) -> Value {
        guard let value = Value(settingText: text) else {
            throw SettingProblem(expected: "must be \(typeName)\(unit.map { " (\($0))" } ?? "")")
        }
        if let problem = rule(value) { throw SettingProblem(expected: problem) }
        return value
    }

    package func problem(with text: String) -> String? {
        do {
            _ = try read(text)
            return nil
        } catch {
            return error.expected
        }
    }
}

/// What is wrong with a value: a sentence's end, such as `must be a whole number`.
struct SettingProblem: Error {
    let expected: String
}

/// A setting without its value's type.
package protocol AnySetting: Sendable {
    var name: String { get }
    /// The environment variable, which is also the key in a configuration file.
    var environment: String { get }
    var defaultText: String? { get }
    var isRequired: Bool { get }
    var isSecret: Bool { get }
    var unit: String? { get }
    var help: String { get }
    var typeName: String { get }
    /// False for switches, whose flag may stand alone.
    var takesValue: Bool { get }
    /// What is wrong with a text as the value of this setting; nil when nothing is.
    func problem(with text: String) -> String?
}

/// A type that a setting can have.
package protocol SettingValue: Sendable {
    /// How `--help` and errors name the type, such as `a whole number`.
    static var typeName: String { get }
    /// Reads what a user wrote; nil when it is none of this type.
    init?(settingText text: String)
}

extension String: SettingValue {
    package static var typeName: String { "a text" }
    package init?(settingText text: String) { self = text }
}

extension Int: SettingValue {
    package static var typeName: String { "a whole number" }
    package init?(settingText text: String) { self.init(text) }
}

extension Double: SettingValue {
    package static var typeName: String { "a number" }
    package init?(settingText text: String) {
        guard let value = Double(text), value.isFinite else { return nil }
        self = value
    }
}

extension Bool: SettingValue {
    package static var typeName: String { "true or false" }
    package init?(settingText text: String) {
        switch text.lowercased() {
        case "true", "yes", "on", "1": self = true
        case "false", "no", "off", "0": self = false
        default: return nil
        }
    }
}

extension [String]: SettingValue {
    package static var typeName: String { "a list separated by commas" }
    package init?(settingText text: String) {
        self = text.split(separator: ",").map { String($0.trimmingSpaces) }.filter { !$0.isEmpty }
    }
}

/// What can be switched off: nil is written `off`.
extension Optional: SettingValue where Wrapped: SettingValue {
    package static var typeName: String { "\(Wrapped.typeName), or off" }
    package init?(settingText text: String) {
        if text.lowercased() == "off" {
            self = .none
        } else if let value = Wrapped(settingText: text) {
            self = value
        } else {
            return nil
        }
    }
}

extension StringProtocol {
    /// The text without spaces, tabs and line ends around it.
    var trimmingSpaces: SubSequence {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0.isNewline }
        guard let first = firstIndex(where: { !isSpace($0) }), let last = lastIndex(where: { !isSpace($0) }) else {
            return self[endIndex..<endIndex]
        }
        return self[first...last]
    }
}
