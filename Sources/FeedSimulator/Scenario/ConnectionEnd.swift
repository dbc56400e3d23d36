/// How a connection came to its end.
struct ConnectionEnd: Error, Equatable {
    /// What the server does to end it.
    enum Manner {
        /// Nothing more than closing the descriptor: the client or somebody else has ended it.
        case abandoned
        case reset
        /// The end of the stream, without a word before it.
        case endOfStream
        /// The same, with TLS' own word before it.
        case orderly
    }

    /// As the recording says it.
    let description: String
    let manner: Manner

    init(_ description: String, _ manner: Manner = .abandoned) {
        self.description = description
        self.manner = manner
    }

    static let clientLeft = ConnectionEnd("the client has left")
}
