import ServiceKit

@main
enum Main {
    static func main() {
        kpiServiceProgram.main()
    }
}
