internal import CLibwebsockets

/// A client's request to open a WebSocket.
package struct UpgradeRequest: Sendable {
    /// The path, percent-decoded.
    package let path: String
    /// The query's pieces between its ampersands, each percent-decoded. They may carry a secret.
    package let query: [String]
    /// The headers by name in lower case. Only those that ``WebSocketServerConfiguration/headers`` names.
    package let headers: [String: String]

    /// The first value of a query's key.
    package func queryValue(_ key: String) -> String? {
        for pair in query where pair.hasPrefix(key + "=") {
            return String(pair.dropFirst(key.utf8.count + 1))
        }
        return nil
    }

    /// Reads the request while libwebsockets still holds its headers.
    init(_ wsi: OpaquePointer, headers names: [String]) {
        path = Self.text(wsi, WSI_TOKEN_GET_URI) ?? ""
        query = Self.query(wsi)
        var headers: [String: String] = [:]
        for name in names { headers[name.lowercased()] = Self.header(wsi, name.lowercased() + ":") }
        self.headers = headers
    }

    /// Piece by piece: a decoded one may hold an ampersand of its own.
    private static func query(_ wsi: OpaquePointer) -> [String] {
        let size = Int(lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS)) + 1
        var pieces: [String] = []
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer in
            while lws_hdr_copy_fragment(
                wsi, buffer.baseAddress, Int32(size), WSI_TOKEN_HTTP_URI_ARGS, Int32(pieces.count)) >= 0
            {
                pieces.append(String(cString: buffer.baseAddress!))
            }
        }
        return pieces
    }

    /// A header's or the request line's text, nil when there is none.
    static func text(_ wsi: OpaquePointer, _ token: lws_token_indexes) -> String? {
        let size = Int(lws_hdr_total_length(wsi, token)) + 1
        guard size > 1 else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer in
            lws_hdr_copy(wsi, buffer.baseAddress, Int32(buffer.count), token) > 0
                ? String(cString: buffer.baseAddress!) : nil
        }
    }

    /// libwebsockets knows the common headers by number and keeps the others by name, both with the colon.
    private static func header(_ wsi: OpaquePointer, _ name: String) -> String? {
        var token = WSI_TOKEN_GET_URI
        while token.rawValue < WSI_TOKEN_COUNT.rawValue {
            if let known = lws_token_to_string(token) {
                let text = UnsafeRawPointer(known).assumingMemoryBound(to: CChar.self)
                if String(cString: text) == name { return self.text(wsi, token) }
            }
            token.rawValue += 1
        }
        let size = lws_hdr_custom_length(wsi, name, Int32(name.utf8.count))
        guard size > 0 else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(size) + 1) { buffer in
            lws_hdr_custom_copy(wsi, buffer.baseAddress, size + 1, name, Int32(name.utf8.count)) > 0
                ? String(cString: buffer.baseAddress!) : nil
        }
    }
}
