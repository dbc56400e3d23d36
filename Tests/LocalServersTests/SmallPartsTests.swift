import Foundation
import LocalServers
import Testing

struct SmallPartsTests {
    @Test func `free ports differ and are free`() throws {
        let ports = try (0..<20).map { _ in try FreePort.find() }
        #expect(Set(ports).count == 20)
        #expect(ports.allSatisfy(FreePort.isFree))
        #expect(!ports.contains(where: FreePort.accepts))
    }

    @Test func `a temporary directory goes with its last reference, unless it is kept`() throws {
        var directory: TemporaryDirectory? = try TemporaryDirectory()
        let path = try #require(directory?.path)
        try "content".write(toFile: "\(path)/file", atomically: true, encoding: .utf8)
        directory = nil
        #expect(!FileManager.default.fileExists(atPath: path))

        var kept: TemporaryDirectory? = try TemporaryDirectory(keep: true)
        let keptPath = try #require(kept?.path)
        kept = nil
        #expect(FileManager.default.fileExists(atPath: keptPath))
        try FileManager.default.removeItem(atPath: keptPath)
    }

    @Test func `KAFKA_HOME that is no Kafka is an error, and without it the PATH decides`() throws {
        let folder = try TemporaryDirectory()
        #expect {
            try KafkaHome.find(environment: ["KAFKA_HOME": folder.path])
        } throws: { error in
            (error as? LocalServerError)?.code == .invalid && "\(error)".contains(folder.path)
        }

        let bin = "\(folder.path)/kafka/bin"
        try FileManager.default.createDirectory(atPath: bin, withIntermediateDirectories: true)
        for name in ["kafka-server-start.sh", "kafka-storage.sh"] {
            #expect(FileManager.default.createFile(atPath: "\(bin)/\(name)", contents: nil))
            chmod("\(bin)/\(name)", 0o755)
        }
        #expect(try KafkaHome.find(environment: ["KAFKA_HOME": "\(folder.path)/kafka"])?.path == "\(folder.path)/kafka")
        if !FileManager.default.fileExists(atPath: "/opt/kafka") {
            #expect(try KafkaHome.find(environment: ["PATH": "/nowhere:\(bin)"])?.path == "\(folder.path)/kafka")
            #expect(try KafkaHome.find(environment: ["PATH": "/nowhere"]) == nil)
        }
    }
}
