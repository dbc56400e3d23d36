import ServiceKit

@main
enum Main {
    static func main() {
        pipelineProgram.main()
    }
}
