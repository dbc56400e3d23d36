import TradeModel

/// What a command lists, on standard output: a table for people, or a JSON object a line for scripts.
package struct OutputTable {
    /// A value of a row.
    package enum Cell {
        case text(String)
        case number(Int64)
        case missing
    }

    /// The form in which a table is written.
    package enum Form: String, CaseIterable, SettingValue {
        case text, json
        package static var typeName: String { "text or json" }
        package init?(settingText text: String) { self.init(rawValue: text) }
    }

    /// The option of commands that list something.
    package static let form = Setting<Form>(
        "output", default: "text", help: "A table for people (text), or an object a line for scripts (json).")

    let columns: [String]
    /// The rows, each with a cell a column.
    package var rows: [[Cell]] = []

    /// An empty table.
    package init(columns: [String]) {
        self.columns = columns
    }

    /// Prints the table.
    package func write(as form: Form) {
        for line in lines(as: form) { print(line) }
    }

    /// The lines that are printed.
    package func lines(as form: Form) -> [String] {
        switch form {
        case .json: rows.map(object)
        case .text: table
        }
    }

    private func object(_ row: [Cell]) -> String {
        var line = ByteWriter()
        var separator: StaticString = "{"
        for (column, cell) in zip(columns, row) {
            line.write(separator)
            line.writeVisibly(column)
            line.write(":")
            switch cell {
            case .text(let text): line.writeVisibly(text)
            case .number(let number): line.write(number)
            case .missing: line.write("null")
            }
            separator = ","
        }
        line.write("}")
        return line.string
    }

    /// Numbers stand at the right, the heading as what is below it.
    private var table: [String] {
        let cells = rows.map { $0.map(\.shown) }
        let widths = columns.indices.map { column in
            cells.reduce(columns[column].count) { max($0, $1[column].count) }
        }
        let isNumber = columns.indices.map { column in
            rows.contains { if case .number = $0[column] { true } else { false } }
        }
        return ([columns] + cells).map { row in
            let padded = columns.indices.map { column in
                let blanks = String(repeating: " ", count: widths[column] - row[column].count)
                return isNumber[column] ? blanks + row[column] : row[column] + blanks
            }
            let line = padded.joined(separator: "  ")
            return String(line[..<(line.lastIndex { $0 != " " }.map(line.index(after:)) ?? line.startIndex)])
        }
    }
}

extension OutputTable.Cell {
    /// A text that may be missing.
    package init(_ text: String?) { self = text.map { .text($0) } ?? .missing }
    /// A number that may be missing.
    package init(_ number: Int64?) { self = number.map { .number($0) } ?? .missing }

    fileprivate var shown: String {
        switch self {
        case .text(let text): text.visible
        case .number(let number): String(number)
        case .missing: "–"
        }
    }
}
