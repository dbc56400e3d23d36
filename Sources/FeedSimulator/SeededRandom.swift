import TradeModel

/// SplitMix64: numbers that look random and are the same for the same seed, everywhere and for ever.
///
/// The standard library's ranges are not used with it, since how they draw may change with the compiler.
struct SeededRandom {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// A generator for one name under a seed, independent of all others.
    init(seed: UInt64, name: ShortText) {
        // FNV-1a.
        let hash = name.withBytes { bytes in
            bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        }
        self.init(seed: seed ^ hash)
    }

    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below the bound, which is above zero.
    mutating func next(below bound: Int64) -> Int64 {
        Int64(next().multipliedFullWidth(by: UInt64(bound)).high)
    }
}
