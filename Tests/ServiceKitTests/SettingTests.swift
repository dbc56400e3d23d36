import Testing

@testable import ServiceKit

struct SettingTests {
    @Test func `the environment variable is the name in capitals unless another is given`() {
        #expect(Setting<String>("kafka-topic", help: "").environment == "KAFKA_TOPIC")
        #expect(Setting<String>("kafka-topic", environment: "TOPIC", help: "").environment == "TOPIC")
    }

    @Test(arguments: ["0": 0, "-5": -5, "9223372036854775807": Int.max])
    func `a whole number is read`(text: String, value: Int) {
        #expect(Int(settingText: text) == value)
    }

    @Test(arguments: ["", "1.5", "ten", " 1", "0x10", "9223372036854775808"])
    func `what is no whole number is refused`(text: String) {
        #expect(Int(settingText: text) == nil)
    }

    @Test(arguments: ["", "nan", "inf", "1e999", "one"])
    func `what is no finite number is refused`(text: String) {
        #expect(Double(settingText: text) == nil)
    }

    @Test func `a number with a fraction is read`() {
        #expect(Double(settingText: "-2.5e3") == -2500)
    }

    @Test func `a switch has the usual words`() {
        for text in ["true", "Yes", "ON", "1"] { #expect(Bool(settingText: text) == true) }
        for text in ["false", "No", "off", "0"] { #expect(Bool(settingText: text) == false) }
        for text in ["", "2", "ja"] { #expect(Bool(settingText: text) == nil) }
    }

    @Test func `a list is separated by commas, without the spaces and the empty ones`() {
        #expect([String](settingText: " AAPL, BINANCE:BTCUSDT ,,\tMSFT,") == ["AAPL", "BINANCE:BTCUSDT", "MSFT"])
        #expect([String](settingText: "") == [])
    }

    @Test func `a problem names the type and the unit`() {
        let setting = Setting<Int>("batch-wait", unit: "milliseconds", help: "")
        #expect(setting.problem(with: "soon") == "must be a whole number (milliseconds)")
        #expect(setting.problem(with: "5") == nil)
    }

    @Test func `a rule judges values of the right type`() {
        let setting = Setting<Int>("batch", help: "") { $0 > 0 ? nil : "must be above 0" }
        #expect(setting.problem(with: "0") == "must be above 0")
        #expect(setting.problem(with: "x") == "must be a whole number")
        #expect(setting.problem(with: "1") == nil)
    }

    @Test func `spaces, tabs and line ends around a text go`() {
        #expect(" \t a b\r\n\n".trimmingSpaces == "a b")
        #expect(" \r\n ".trimmingSpaces.isEmpty)
        #expect("".trimmingSpaces.isEmpty)
    }

    @Test func `the nearest word is the one with the fewest letters changed`() {
        let words = ["kafka-topic", "kafka-group", "log-level"]
        #expect(nearest(to: "kafka-topc", in: words) == "kafka-topic")
        #expect(nearest(to: "loglevel", in: words) == "log-level")
        #expect(nearest(to: "feed-url", in: words) == nil)
        #expect(nearest(to: "", in: words) == nil)
        #expect(nearest(to: "x", in: []) == nil)
    }
}
