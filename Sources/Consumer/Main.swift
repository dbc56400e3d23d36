import ServiceKit

@main
enum Main {
    static func main() {
        consumerProgram.main()
    }
}
