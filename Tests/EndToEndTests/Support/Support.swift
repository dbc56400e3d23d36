/// What collections have more or less of, each element as often as it occurs.
struct MultisetDifference: CustomStringConvertible {
    /// Elements that were expected and are not there.
    private(set) var missing = 0
    /// Elements that are there and were not expected, or too often.
    private(set) var surplus = 0
    private(set) var examples: [String] = []

    init(expected: [String], found: [String]) {
        var counts: [String: Int] = [:]
        for element in expected { counts[element, default: 0] += 1 }
        for element in found { counts[element, default: 0] -= 1 }
        for (element, count) in counts where count != 0 {
            if count > 0 { missing += count } else { surplus -= count }
            if examples.count < 10 {
                examples.append("\(count > 0 ? "missing" : "surplus") \(abs(count))×: \(element)")
            }
        }
    }

    var description: String { "\(missing) missing, \(surplus) too many; \(examples.joined(separator: "; "))" }
}
