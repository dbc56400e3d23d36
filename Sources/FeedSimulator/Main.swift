import ServiceKit

@main
enum Main {
    static func main() {
        feedSimulatorProgram.main()
    }
}
