import Glibc

extension MetricsRegistry {
    /// Adds what Prometheus' client libraries tell of every process, and the program's version.
    package func addProcessMetrics() {
        reading("process_cpu_seconds_total", "CPU time of the process, user and system.", isCount: true) {
            Self.seconds(of: CLOCK_PROCESS_CPUTIME_ID)
        }
        reading("process_resident_memory_bytes", "Memory of the process that is in RAM.") {
            Self.field(1, of: "/proc/self/statm") * Double(sysconf(Int32(_SC_PAGESIZE)))
        }
        let start = Self.startTime
        reading("process_start_time_seconds", "When the process started, since 1970.") { start }
        reading("process_open_fds", "Open file descriptors of the process.") { Self.openDescriptors }
        gauge("tickstream_build_info", "The version of the program, as a label.", ["version": Program.version]).set(1)
    }

    private static func seconds(of clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// A number in a file of the kernel; not a number when it cannot be read.
    private static func field(_ index: Int, of path: String) -> Double {
        guard let text = try? readTextFile(path) else { return .nan }
        // In `stat`, the program's name stands in parentheses and may hold anything.
        let fields = text[(text.lastIndex(of: ")").map(text.index(after:)) ?? text.startIndex)...].split(separator: " ")
        return fields.indices.contains(index) ? Double(fields[index]) ?? .nan : .nan
    }

    private static var startTime: Double {
        // The 22nd field, the 20th behind the name: clock ticks since the machine started.
        let ticks = field(19, of: "/proc/self/stat")
        let age = seconds(of: CLOCK_BOOTTIME) - ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        return seconds(of: CLOCK_REALTIME) - age
    }

    private static var openDescriptors: Double {
        guard let folder = opendir("/proc/self/fd") else { return .nan }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // All but `.`, `..` and the one that reads the folder.
        return Double(count - 3)
    }
}
