import Foundation

/// `campaigns kills|outage|chaos`: long runs that break things on purpose, and then prove what became of each trade.
@main
enum Main {
    static func main() async {
        do {
            let options = try CampaignOptions(ProcessInfo.processInfo.environment)
            let campaign: any Campaign
            switch CommandLine.arguments.dropFirst() {
            case ["kills"]: campaign = KillCampaign(options)
            case ["outage"]: campaign = OutageCampaign(options)
            case ["chaos"]: campaign = ChaosCampaign(options)
            default: throw CampaignError("say which: kills, outage or chaos")
            }
            let isProven = try await campaign.run()
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
