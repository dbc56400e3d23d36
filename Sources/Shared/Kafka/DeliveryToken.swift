/// How a token travels with a record through librdkafka, which takes one pointer a record: an odd one is a token, an even one
/// the address of the topic's counts.
enum DeliveryToken {
    static func pointer(_ token: Int) -> UnsafeMutableRawPointer? {
        UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: token) << 1 | 1)
    }

    static func token(_ pointer: UnsafeMutableRawPointer) -> Int? {
        let bits = UInt(bitPattern: pointer)
        return bits & 1 == 1 ? Int(bits >> 1) : nil
    }
}
