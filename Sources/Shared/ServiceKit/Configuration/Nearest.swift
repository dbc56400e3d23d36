/// The word that was most likely meant by a mistyped one: the fewest letters away, at most one in three; nil when none is.
package func nearest(to word: String, in known: [String]) -> String? {
    known.map { (word: $0, distance: editDistance(word, $0)) }
        .filter { $0.distance <= max(1, word.count / 3) }
        .min { $0.distance < $1.distance }?.word
}

/// How many letters must be added, removed or replaced to make one word of the other.
private func editDistance(_ left: String, _ right: String) -> Int {
    let right = Array(right)
    var row = Array(0...right.count)
    for (index, letter) in left.enumerated() {
        var diagonal = row[0]
        row[0] = index + 1
        for column in right.indices {
            let replaced = diagonal + (letter == right[column] ? 0 : 1)
            diagonal = row[column + 1]
            row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
        }
    }
    return row[right.count]
}
