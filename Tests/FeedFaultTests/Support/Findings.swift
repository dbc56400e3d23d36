/// What was found to be otherwise than expected, in words.
struct Findings {
    private(set) var all: [String] = []

    mutating func expect(_ isAsExpected: Bool, _ finding: @autoclosure () -> String) {
        if !isAsExpected { all.append(finding()) }
    }

    mutating func expectEqual<Value: Equatable>(_ what: String, _ found: Value, _ expected: Value) {
        expect(found == expected, "\(what): \(found) instead of \(expected)")
    }
}
