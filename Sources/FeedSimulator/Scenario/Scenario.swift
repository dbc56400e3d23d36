import ServiceKit

/// What each connection is served, step by step.
struct Scenario: Equatable, Sendable {
    /// A step and where it stands.
    struct Line: Equatable, Sendable {
        let number: Int
        let step: ScenarioStep
    }

    /// What some connections get.
    struct Section: Equatable, Sendable {
        let connections: ClosedRange<Int>
        let lines: [Line]
    }

    /// Those for numbered connections, then that for all others.
    let sections: [Section]
    /// The folder that relative paths begin at.
    let folder: String

    /// What the n-th connection gets, counted from 1.
    func lines(ofConnection number: Int) -> [Line] {
        sections.first { $0.connections.contains(number) }?.lines ?? []
    }

    /// The pairs of files that the scenario's certificates and keys are read from.
    var certificates: Set<CertificateFiles> {
        Set(sections.flatMap(\.lines).compactMap { files($0.step) })
    }

    /// The files of a step that begins TLS.
    func files(_ step: ScenarioStep) -> CertificateFiles? {
        guard case .tls(let certificate, let key) = step else { return nil }
        return CertificateFiles(certificate: path(certificate), key: path(key))
    }

    private func path(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(folder)/\(path)"
    }
}

/// PEM files of a certificate and its private key.
struct CertificateFiles: Hashable, Sendable {
    let certificate: String
    let key: String
}
