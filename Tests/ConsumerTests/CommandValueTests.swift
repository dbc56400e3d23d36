import Kafka
import ServiceKit
import Testing

@testable import Consumer

struct CommandValueTests {
    @Test func `a reset's target is an offset or one of two words`() {
        #expect(ResetTarget(settingText: "earliest") == .earliest)
        #expect(ResetTarget(settingText: "latest") == .latest)
        #expect(ResetTarget(settingText: "0") == .offset(0))
        for text in ["", "-1", "1.5", "end", "1099511627776"] { #expect(ResetTarget(settingText: text) == nil) }
    }

    @Test func `a target must be in the log, whose end counts as in it`() throws {
        let place = TopicPartition(topic: "trades", partition: 3)
        let log: (low: Int64, high: Int64) = (5, 9)
        #expect(try ResetTarget.earliest.offset(in: log, of: place) == 5)
        #expect(try ResetTarget.latest.offset(in: log, of: place) == 9)
        for offset in [5, 9] as [Int64] { #expect(try ResetTarget.offset(offset).offset(in: log, of: place) == offset) }
        for offset in [4, 10] as [Int64] {
            let error = #expect(throws: ResetError.self) { try ResetTarget.offset(offset).offset(in: log, of: place) }
            #expect(error?.description.hasPrefix("offset \(offset) is not in trades [3], which has") == true)
        }
    }

    @Test func `a partition is a number that row ids have room for, or all`() {
        #expect(PartitionChoice(settingText: "all") == .all)
        #expect(PartitionChoice(settingText: "2047") == .one(2047))
        for text in ["", "2048", "-1", "ALL"] { #expect(PartitionChoice(settingText: text) == nil) }
    }

    @Test func `a table has numbers at the right, a mark where nothing is, and no control characters`() {
        var table = OutputTable(columns: ["name", "count", "note"])
        table.rows = [
            [.text("a\u{1B}"), .number(7), .missing], [.text("b"), .missing, .text("x\ny")],
            [.text("\u{2028}\"\\"), .number(12345), .text("")],
        ]
        #expect(
            table.lines(as: .text) == [
                #"name      count  note"#,
                #"a\u001b       7  –"#,
                #"b             –  x\u000ay"#,
                #"\u2028"\  12345"#,
            ])
        #expect(
            table.lines(as: .json) == [
                #"{"name":"a\u001b","count":7,"note":null}"#,
                #"{"name":"b","count":null,"note":"x\u000ay"}"#,
                #"{"name":"\u2028\"\\","count":12345,"note":""}"#,
            ])
        table.rows = []
        #expect(table.lines(as: .text) == ["name  count  note"])
        #expect(table.lines(as: .json) == [])
    }
}
