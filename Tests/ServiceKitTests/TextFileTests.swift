import Foundation
import Testing

@testable import ServiceKit

struct TextFileTests {
    @Test func `what was written is read, also over an older file`() throws {
        try withTemporaryFolder { folder in
            let path = "\(folder)/text"
            let long = String(repeating: "Grüße\r\n\0", count: 2000)
            for text in ["first", long, ""] {
                try writeTextFile(text, to: path)
                #expect(try readTextFile(path) == text)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["text"])
        }
    }

    @Test func `a file that is not there is an error with path and reason`() throws {
        try withTemporaryFolder { folder in
            #expect(
                message { _ = try readTextFile("\(folder)/none") }
                    == "cannot read '\(folder)/none': No such file or directory")
        }
    }

    @Test func `a folder cannot be read as a file`() throws {
        try withTemporaryFolder { folder in
            #expect(message { _ = try readTextFile(folder) } == "cannot read '\(folder)': Is a directory")
        }
    }

    @Test func `a folder that is not there cannot be written to`() throws {
        try withTemporaryFolder { folder in
            let path = "\(folder)/none/text"
            #expect(message { try writeTextFile("x", to: path) } == "cannot write '\(path)': No such file or directory")
        }
    }

    @Test func `a write that fails leaves nothing behind`() throws {
        try withTemporaryFolder { folder in
            let path = "\(folder)/taken"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            #expect(message { try writeTextFile("x", to: path) } == "cannot write '\(path)': Is a directory")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["taken"])
        }
    }
}
