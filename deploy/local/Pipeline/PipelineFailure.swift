/// Why a run could not start or go on, and what to do about it, in words for the terminal.
struct PipelineFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
