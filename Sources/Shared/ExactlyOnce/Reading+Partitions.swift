import Kafka
import ServiceKit

/// What the group assigns, and the database lets be read.
extension Reading {
    mutating func handle(_ rebalance: KafkaRebalance) throws {
        switch rebalance {
        case .assigned(let places):
            logger.info(
                "partitions assigned",
                ["kafka.topic": configuration.topic, "kafka.partitions": Self.list(places.map(\.partition))])
            forgetAssignment()
            assigned = places.map(\.partition)
            waitingSince = nil
            // The group is answered at once. What is read, the claim decides, however long that takes.
            try consumer.assign([:])
            claimDue = assigned.isEmpty ? nil : .now
        case .revoked(let places, let lost):
            logger.info(
                "partitions revoked",
                [
                    "kafka.topic": configuration.topic, "kafka.partitions": Self.list(places.map(\.partition)),
                    "kafka.lost": "\(lost)",
                ])
            for partition in owned {
                Failpoint.inRevoke.reach(configuration.topic, partition.claim.partition, partition.readTo - 1)
            }
            // A claim that came after those of the next owners would fence them.
            abandonClaim()
            // Of lost partitions nothing more is stored; what is on its way already, the ledger decides.
            if !lost { try flush() }
            forgetAssignment()
            waitingSince = .now
            try consumer.unassign()
        }
    }

    static func list(_ partitions: some Sequence<Int32>) -> String {
        partitions.sorted().map(String.init).joined(separator: ",")
    }

    mutating func submitClaim() {
        // A log that is not what it was stays so; what Kafka's client did wrong, it does not do again. So a fault counts when
        // the partition has been read anew and is found at fault in the same place.
        let found = owned.compactMap { partition in
            partition.fault.map { (claim: partition.claim, position: partition.readTo, fault: $0) }
        }
        let faults = found.filter { suspected[$0.claim.partition] == Suspicion(position: $0.position, fault: $0.fault) }
        suspected = [:]
        for (claim, position, fault) in found {
            suspected[claim.partition] = Suspicion(position: position, fault: fault)
        }
        forgetOwned()
        claimDue = nil
        isClaimWanted = true
        submit(.claim(.init(partitions: assigned, faults: faults)))
    }

    mutating func begin(_ answer: ClaimAnswer) throws {
        isSuspended = false
        owned = answer.claims.map { OwnedPartition($0, position: metrics.nextOffset($0.partition)) }
        places = Dictionary(uniqueKeysWithValues: owned.enumerated().map { ($1.claim.partition, $0) })
        metrics.assignedPartitions.set(Int64(owned.count))
        note(halted: answer.halted)
        logs.watch(owned.map(\.claim.partition))
        try assignOwned()
    }

    mutating func note(halted partitions: [HaltedPartition]) {
        for partition in halted { metrics.halted(partition).set(0) }
        for partition in partitions {
            metrics.halted(partition.partition).set(1)
            guard !halted.contains(partition.partition) else { continue }
            logger.error(
                "a partition is halted until it is reset; the others go on",
                [
                    "kafka.topic": configuration.topic, "kafka.partition": partition.partition,
                    "reader": configuration.reader, "error": partition.reason,
                ])
        }
        halted = Set(partitions.map(\.partition))
        metrics.haltedPartitions.set(Int64(halted.count))
        nextRecheck = .now + recheckInterval
    }

    /// Drops everything that is not on its way to the database.
    mutating func forgetOwned() {
        owned = []
        places = [:]
        filling.reset()
        gathered = 0
        metrics.assignedPartitions.set(0)
        logs.watch([])
    }

    mutating func forgetAssignment() {
        forgetOwned()
        committed = [:]
        assigned = []
        note(halted: [])
        claimDue = nil
        isSuspended = false
        abandonClaim()
    }

    mutating func abandonClaim() {
        isClaimWanted = false
        writer.abandonClaim()
    }

    /// What has been gathered is stored, then the positions are held against the logs again.
    mutating func claimAnew(_ reason: StaticString) throws {
        guard !assigned.isEmpty, claimDue == nil else { return }
        logger.info("claiming anew", ["kafka.topic": configuration.topic, "reason": "\(reason)"])
        if !isSuspended { try suspend() }
        claimDue = .now
    }
}
