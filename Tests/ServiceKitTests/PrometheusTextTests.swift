import Testing

/// The tests' own reader must refuse what is wrong, else it proves nothing.
struct PrometheusTextTests {
    private static let header = "# HELP a_total Help.\n# TYPE a_total counter\n"

    @Test func `a sound text is read`() throws {
        let text = try PrometheusText(Self.header + "a_total{x=\"1\",y=\"a\\\\b\\\"\\n}\"} 2.5e-05\na_total +Inf\n")
        #expect(text.value("a_total", ["x": "1", "y": "a\\b\"\n}"]) == 2.5e-05)
        #expect(text.value("a_total") == .infinity)
        #expect(text.families["a_total"]?.help == "Help.")
    }

    @Test(arguments: [
        "a_total 1", "a_total\n", "a_total one\n", "a_total inf\n", "a_total nan\n", "b_total 1\n", "a_total 1\n\n",
        "a_total{x=\"1\" 1\n", "a_total{x=1} 1\n", "a_total{1=\"x\"} 1\n", "a_total{x=\"\\t\"} 1\n",
        "a_total{x=\"1\",x=\"2\"} 1\n", "a_total 1\na_total 2\n", "a_total{x=\"a\nb\"} 1\n",
        "a_total 1\n# HELP a_total Help.\n# TYPE a_total counter\n", "# TYPE b counter\n", "# HELP b B.\nb 1\n",
        "# HELP b B.\n# TYPE b number\nb 1\n",
    ])
    func `a text with a mistake is refused`(text: String) {
        #expect(throws: PrometheusText.Malformed.self) { try PrometheusText(Self.header + text) }
    }

    @Test(arguments: [
        "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 3\n",
        "h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n",
        "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n",
        "h_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n", "h_bucket{le=\"+Inf\"} 2\nh_count 2\n",
    ])
    func `a histogram that does not add up is refused`(text: String) {
        #expect(throws: PrometheusText.Malformed.self) {
            try PrometheusText("# HELP h Help.\n# TYPE h histogram\n" + text)
        }
    }
}
