extension GroupMember {
    /// Something has happened in the group: asks the coordinator at the next chance, and not when
    /// the heartbeat interval is over. For members that live where their coordinator does; a
    /// rebalance then takes milliseconds.
    public mutating func hurry(at now: GroupInstant) {
        nextHeartbeat = min(nextHeartbeat, now)
    }
}
