import Foundation

/// `campaigns kills`: long runs that break things on purpose, and then count.
@main
enum Main {
    static func main() async {
        do {
            let arguments = CommandLine.arguments.dropFirst()
            guard arguments.elementsEqual(["kills"]) else { throw CampaignError("say which: kills") }
            let isProven = try await KillCampaign(KillOptions(ProcessInfo.processInfo.environment)).run()
            exit(isProven ? 0 : 1)
        } catch {
            print("campaigns: \(error)")
            exit(1)
        }
    }
}

/// Why there is no result.
struct CampaignError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
