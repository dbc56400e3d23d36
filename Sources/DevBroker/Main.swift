import ServiceKit

@main
enum Main {
    static func main() {
        devBrokerProgram.main()
    }
}
