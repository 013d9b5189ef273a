import TallyRecords

extension GroupMember {
    // MARK: Joining

    mutating func sendJoin(at now: GroupInstant) {
        let protocols: [GroupProtocol]
        do throws(ConsumerProtocolError) {
            protocols = try encodedProtocols()
        } catch {
            return fail(.invalidRequest(reason: error.description))
        }
        let attempt = takeAttempt()
        state = .joining(attempt: attempt)
        lastAdvance = now
        needsRejoin = false
        inherited = nil
        heartbeat = nil
        let request = JoinRequest(
            group: configuration.group, memberID: memberID, instanceID: configuration.instanceID,
            clientID: configuration.clientID, clientHost: configuration.clientHost,
            sessionTimeoutMilliseconds: configuration.sessionTimeoutMilliseconds,
            rebalanceTimeoutMilliseconds: configuration.pollIntervalMillisecondsMax,
            protocols: protocols)
        actions.append(.join(request, attempt: attempt))
    }

    private func encodedProtocols() throws(ConsumerProtocolError) -> [GroupProtocol] {
        var protocols: [GroupProtocol] = []
        for assignor in configuration.assignors {
            var subscription = ConsumerSubscription(
                topics: topics.sorted(), ownedPartitions: TopicPartitions.grouped(owned),
                generation: owned.isEmpty ? -1 : generation, rackID: configuration.rackID)
            if assignor == .sticky, !previous.partitions.isEmpty {
                // An eager member owns nothing when it joins. What it had goes where Kafka's sticky
                // assignor looks for it (KIP-54).
                var writer = ConsumerProtocolWriter()
                try writer.topicPartitions(TopicPartitions.grouped(previous.partitions))
                writer.int32(previous.generation)
                subscription.userData = writer.bytes
            }
            protocols.append(
                GroupProtocol(name: assignor.rawValue, metadata: try subscription.encoded()))
        }
        return protocols
    }

    /// The answer to a join.
    public mutating func joinAnswered(
        _ result: Result<JoinAnswer, GroupError>, attempt: UInt64, at now: GroupInstant
    ) {
        guard state == .joining(attempt: attempt) else {
            // It closed meanwhile, and would be waited for: also where it was only given an id to
            // come back with.
            let given: String? =
                switch result {
                case .success(let answer): answer.memberID
                case .failure(.memberIDRequired(let id)): id
                case .failure: nil
                }
            if state == .ended || state == .unjoined, let given, configuration.instanceID == nil {
                actions.append(
                    .leave(group: configuration.group, LeavingMember(memberID: given)))
            }
            return
        }
        switch result {
        case .success(let answer):
            memberID = answer.memberID
            generation = answer.generation
            joined = answer
            heard(at: now)
            if answer.isLeader, !answer.skipsAssignment {
                let attempt = takeAttempt()
                state = .countingPartitions(attempt: attempt)
                actions.append(
                    .findPartitionCounts(topics: groupTopics(answer), attempt: attempt))
            } else {
                sendSync([:], at: now)
            }
        case .failure(.memberIDRequired(let id)):
            memberID = id
            sendJoin(at: now)
        case .failure(let error):
            roundFailed(error, at: now)
        }
    }

    private func groupTopics(_ answer: JoinAnswer) -> Set<String> {
        var topics: Set<String> = []
        for member in answer.members {
            topics.formUnion(Self.subscription(of: member).topics)
        }
        return topics
    }

    /// A member whose bytes cannot be read is there all the same, and gets nothing.
    private static func subscription(of member: JoinAnswer.Member) -> ConsumerSubscription {
        (try? ConsumerSubscription(decoding: member.metadata)) ?? ConsumerSubscription(topics: [])
    }

    /// How many partitions the topics have that `findPartitionCounts` named; those that do not
    /// exist are left out. The leader computes the assignment, or looks whether the one it found
    /// still fits. Counts of an attempt that was given up are ignored: they may be of a time
    /// before a change that the member was told of while it was no leader.
    public mutating func partitionCounts(
        _ counts: [String: Int], attempt: UInt64, at now: GroupInstant
    ) {
        if let found = inherited, found.attempt == attempt {
            inherited = nil
            if found.counts != counts { rejoin(at: now) }
            return
        }
        guard state == .countingPartitions(attempt: attempt), let joined else { return }
        guard let assignor = Assignor(rawValue: joined.protocolName) else {
            return fail(
                .inconsistentGroupProtocol(
                    reason: "The group has chosen '\(joined.protocolName)', which is not known."))
        }
        let members = joined.members.map { member in
            let subscription = Self.subscription(of: member)
            let owned = subscription.owned
            return Assignor.Member(
                memberID: member.memberID, instanceID: member.instanceID,
                topics: Set(subscription.topics), ownedPartitions: owned.partitions,
                generation: owned.generation)
        }
        var assignments: [String: [UInt8]] = [:]
        do throws(ConsumerProtocolError) {
            for (id, partitions) in assignor.assign(partitionCounts: counts, members: members) {
                // What a static leader would have to know after a restart: see `inherit`.
                let isOwn = id == memberID && configuration.instanceID != nil
                assignments[id] = try ConsumerAssignment(
                    assignedPartitions: TopicPartitions.grouped(partitions),
                    userData: isOwn ? try AssignedPartitionCounts(counts).encoded() : nil
                ).encoded()
            }
        } catch {
            return fail(.invalidRequest(reason: error.description))
        }
        sendSync(assignments, at: now)
    }

    // MARK: Syncing

    private mutating func sendSync(_ assignments: [String: [UInt8]], at now: GroupInstant) {
        let attempt = takeAttempt()
        state = .syncing(attempt: attempt)
        lastAdvance = now
        heartbeat = nil
        actions.append(
            .sync(
                SyncRequest(
                    group: configuration.group, caller: caller,
                    protocolType: joined?.protocolType, protocolName: joined?.protocolName,
                    assignments: assignments), attempt: attempt))
    }

    /// The answer to a sync.
    public mutating func syncAnswered(
        _ result: Result<SyncAnswer, GroupError>, attempt: UInt64, at now: GroupInstant
    ) {
        guard state == .syncing(attempt: attempt) else { return }
        let answer: SyncAnswer
        switch result {
        case .success(let given): answer = given
        case .failure(let error): return roundFailed(error, at: now)
        }
        let assigned: Set<TopicPartition>
        do throws(ConsumerProtocolError) {
            let assignment = try ConsumerAssignment(decoding: answer.assignment)
            let all = assignment.partitions
            assigned = Set(all.filter { topics.contains($0.topic) })
            inherit(assignment)
            // The subscription is another than when it joined.
            if assigned.count < Set(all).count { needsRejoin = true }
        } catch {
            return fail(.invalidRequest(reason: error.description))
        }
        heard(at: now)
        let going = owned.subtracting(assigned)
        if going.isEmpty {
            settle(assigned, at: now)
        } else {
            state = .revokingAfterSync(assigned: assigned)
            revoke(going, at: now)
        }
    }

    /// A static leader that was restarted computes nothing (KIP-814), and cannot know whether
    /// partitions were added while it was away. What it computed from last is beside its own
    /// assignment, and is compared with what there is now; where that is not known (another
    /// client led), the group shares out once more.
    private mutating func inherit(_ assignment: ConsumerAssignment) {
        guard let joined, joined.isLeader, joined.skipsAssignment else { return }
        let attempt = takeAttempt()
        let counts = assignment.userData.flatMap { AssignedPartitionCounts(decoding: $0) }
        inherited = (attempt, counts?.counts)
        actions.append(.findPartitionCounts(topics: groupTopics(joined), attempt: attempt))
    }

    /// The round is over.
    mutating func settle(_ assigned: Set<TopicPartition>, at now: GroupInstant) {
        actions.append(.assigned(assigned.subtracting(owned)))
        owned = assigned
        previous = (assigned, generation)
        state = .stable
        if needsRejoin { rejoin(at: now) }
    }

    // MARK: Heartbeats and failures

    /// The answer to a heartbeat; nil where all is well.
    public mutating func heartbeatAnswered(
        _ error: GroupError?, attempt: UInt64, at now: GroupInstant
    ) {
        guard let waiting = heartbeat, waiting.attempt == attempt else { return }
        heartbeat = nil
        switch error {
        case nil:
            lastHeard = max(lastHeard, waiting.sent)
        case .rebalanceInProgress:
            lastHeard = max(lastHeard, waiting.sent)
            // While partitions are being given up, it joins anyway when that is done.
            rejoin(at: now)
        case .coordinatorNotAvailable, .coordinatorLoadInProgress, .notCoordinator:
            break
        case let error?:
            roundFailed(error, at: now)
        }
    }

    private mutating func roundFailed(_ error: GroupError, at now: GroupInstant) {
        switch error {
        case .unknownMemberID, .illegalGeneration:
            if case .unknownMemberID = error { memberID = "" }
            sessionLost(at: now)
        case .rebalanceInProgress:
            state = .stable
            rejoin(at: now)
        case .coordinatorNotAvailable, .coordinatorLoadInProgress, .notCoordinator:
            state = .joinDue(
                now.advanced(byMilliseconds: max(configuration.retryBackoffMilliseconds, 1)))
        default:
            fail(error)
        }
    }
}
