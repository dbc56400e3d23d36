import Glibc

@main
enum Main {
    static func main() async {
        do {
            let options = try BenchOptions(arguments: CommandLine.arguments, environment: readEnvironment())
            try await Bench(options).run()
        } catch {
            print("bench: \(error)")
            exit(1)
        }
    }
}
