import ServiceKit

@main
enum Main {
    static func main() {
        producerProgram.main()
    }
}
