import Foundation
import TestSupport
import Testing

@testable import ServiceKit

struct ProcessMetricsTests {
    private static func read(_ name: String, _ labels: [String: String] = [:]) throws -> Double {
        let registry = MetricsRegistry()
        registry.addProcessMetrics()
        return try #require(try PrometheusText(registry.render()).value(name, labels))
    }

    @Test func `the names are those of Prometheus' client libraries`() throws {
        let registry = MetricsRegistry()
        registry.addProcessMetrics()
        let text = try PrometheusText(registry.render())
        #expect(
            text.families.mapValues(\.type) == [
                "process_cpu_seconds_total": "counter", "process_resident_memory_bytes": "gauge",
                "process_start_time_seconds": "gauge", "process_open_fds": "gauge", "tickstream_build_info": "gauge",
            ])
        #expect(text.value("tickstream_build_info", ["version": Program.version]) == 1)
    }

    @Test func `CPU time rises with work`() throws {
        let before = try Self.read("process_cpu_seconds_total")
        let deadline = ContinuousClock.now + hangLimit
        var after = before
        while after < before + 0.02, .now < deadline { after = try Self.read("process_cpu_seconds_total") }
        #expect(after >= before + 0.02)
    }

    // In a process of its own: other tests take and give back memory and files at the same time.
    @Test func `memory in RAM rises with memory in use`() async {
        await #expect(processExitsWith: .success) {
            let before = try Self.read("process_resident_memory_bytes")
            #expect(before > 1_000_000)
            let size = 64 << 20
            let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
            defer { memory.deallocate() }
            memset(memory, 1, size)
            #expect(try Self.read("process_resident_memory_bytes") > before + Double(size / 2))
        }
    }

    @Test func `the start was before now, and does not move`() throws {
        let registry = MetricsRegistry()
        registry.addProcessMetrics()
        func start() throws -> Double {
            try #require(try PrometheusText(registry.render()).value("process_start_time_seconds"))
        }
        let first = try start()
        // The kernel counts in hundredths of a second.
        #expect(first <= Date().timeIntervalSince1970 + 0.05)
        #expect(first > Date().timeIntervalSince1970 - 3600)
        #expect(try start() == first)
    }

    /// What runs beside a test opens files of its own whenever it first needs them: Dispatch, for one, three for its
    /// timers. So many opened at once are far more than those.
    @Test func `open files are counted`() async {
        await #expect(processExitsWith: .success) {
            let opened = 200.0
            let byOthers = 20.0
            let before = try Self.read("process_open_fds")
            #expect(before >= 3)
            let files = (0..<Int(opened)).compactMap { _ in FileHandle(forReadingAtPath: "/dev/null") }
            let during = try Self.read("process_open_fds")
            #expect(abs(during - before - opened) <= byOthers, "\(before), then \(during)")
            for file in files { try file.close() }
            let after = try Self.read("process_open_fds")
            #expect(abs(after - before) <= byOthers, "\(before), then \(after)")
        }
    }
}
