import Synchronization
import TradeModel

/// All metrics of a program, and their form in Prometheus' text format (version 0.0.4).
///
/// Metrics are made once and kept by who counts with them: nothing is looked up by name on a hot path. Asking for the same
/// name and labels again answers the same metric; a reading that is there already stays.
package final class MetricsRegistry: Sendable {
    /// Names and values that tell the metrics of one name apart.
    package typealias Labels = KeyValuePairs<String, String>

    private enum Instrument: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case reading(@Sendable () -> Double)
    }

    private struct Family: Sendable {
        var type: String
        var help: String
        var series: [(labels: String, instrument: Instrument)] = []
    }

    private let families = Mutex<[(name: String, family: Family)]>([])

    package init() {}

    /// A count; the name ends in `_total`.
    package func counter(_ name: String, _ help: String, _ labels: Labels = [:]) -> Counter {
        let made = add(name, "counter", help, labels) { .counter(Counter()) }
        guard case .counter(let counter) = made else { preconditionFailure("\(name) is no counter") }
        return counter
    }

    /// A level; the name ends in its unit.
    package func gauge(_ name: String, _ help: String, _ labels: Labels = [:]) -> Gauge {
        let made = add(name, "gauge", help, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = made else { preconditionFailure("\(name) is no gauge") }
        return gauge
    }

    /// Durations; the name ends in `_seconds`.
    package func histogram(_ name: String, _ help: String, _ labels: Labels = [:]) -> Histogram {
        let made = add(name, "histogram", help, labels) { .histogram(Histogram()) }
        guard case .histogram(let histogram) = made else { preconditionFailure("\(name) is no histogram") }
        return histogram
    }

    /// A value that is read when somebody asks: a level, or a count that another part keeps (`isCount`).
    package func reading(
        _ name: String, _ help: String, _ labels: Labels = [:], isCount: Bool = false,
        _ read: @escaping @Sendable () -> Double
    ) {
        _ = add(name, isCount ? "counter" : "gauge", help, labels) { .reading(read) }
    }

    private func add(
        _ name: String, _ type: String, _ help: String, _ labels: Labels, _ make: () -> Instrument
    ) -> Instrument {
        let labelText = Self.text(labels)
        return families.withLock { families in
            let index =
                families.firstIndex { $0.name == name }
                ?? {
                    families.append((name, Family(type: type, help: help)))
                    return families.count - 1
                }()
            precondition(families[index].family.type == type, "\(name) is a \(families[index].family.type), no \(type)")
            if let known = families[index].family.series.first(where: { $0.labels == labelText }) {
                return known.instrument
            }
            let instrument = make()
            families[index].family.series.append((labelText, instrument))
            return instrument
        }
    }

    private static func text(_ labels: Labels) -> String {
        labels.sorted { $0.key < $1.key }.map { "\($0)=\"\(escaped($1, alsoQuotes: true))\"" }.joined(separator: ",")
    }

    /// Goes by Unicode scalars, since a `Character` may be a quote or a line end with something attached.
    private static func escaped(_ text: String, alsoQuotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where alsoQuotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// All metrics in Prometheus' text format.
    package func render() -> String {
        let families = families.withLock { $0 }
        var text = ""
        for (name, family) in families {
            text += "# HELP \(name) \(Self.escaped(family.help, alsoQuotes: false))\n# TYPE \(name) \(family.type)\n"
            for (labels, instrument) in family.series {
                let braces = labels.isEmpty ? "" : "{\(labels)}"
                switch instrument {
                case .counter(let counter): text += "\(name)\(braces) \(counter.value)\n"
                case .gauge(let gauge): text += "\(name)\(braces) \(gauge.value)\n"
                case .reading(let read): text += "\(name)\(braces) \(Self.number(read()))\n"
                case .histogram(let histogram): text += Self.render(name, labels, histogram)
                }
            }
        }
        return text
    }

    private static func render(_ name: String, _ labels: String, _ histogram: Histogram) -> String {
        let (cumulative, sum) = histogram.snapshot
        let prefix = labels.isEmpty ? "" : labels + ","
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        var text = ""
        for (bound, count) in zip(Histogram.bounds, cumulative) {
            text += "\(name)_bucket{\(prefix)le=\"\(number(Double(bound) / 1e6))\"} \(count)\n"
        }
        text += "\(name)_bucket{\(prefix)le=\"+Inf\"} \(cumulative.last!)\n"
        text += "\(name)_sum\(braces) \(number(Double(sum) / 1e6))\n"
        text += "\(name)_count\(braces) \(cumulative.last!)\n"
        return text
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && value.magnitude < 1e15 ? String(Int64(value)) : String(value)
    }
}
