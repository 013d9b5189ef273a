import Tally

/// Applying records to the state in memory.
extension ProjectionState {
    /// What folding a record into the rows came to.
    private enum Folded {
        case applied(InventoryEvent)
        case duplicate
        case fault(EventFault)
    }

    /// Applies one record; see `InventoryProjection.apply`.
    mutating func apply(
        partition: Int32, offset: Offset, leaderEpoch: LeaderEpoch, timestamp: Timestamp,
        key: RawSpan?, value: RawSpan?, source: some StateSource
    ) throws(StateStoreError) -> ApplyOutcome {
        let slot = progressSlot(of: partition)
        guard offset.rawValue >= partitions[slot].next else { return .ignored }
        let folded = try fold(
            partition: partition, offset: offset, key: key, value: value, source: source)
        pendingRecords &+= 1
        partitions[slot].isTouched = true
        partitions[slot].next = offset.advanced(by: 1).rawValue
        partitions[slot].leaderEpoch = leaderEpoch.rawValue
        switch folded {
        case .applied(let event):
            partitions[slot].lastRecordedAt = event.recordedAt.rawValue
            switch event.type.kind {
            case .movement, .reservation, .reconciliation: partitions[slot].stockEvents &+= 1
            case .availability: partitions[slot].availabilityEvents &+= 1
            case .audit: partitions[slot].auditEvents &+= 1
            }
            return .applied
        case .duplicate:
            partitions[slot].duplicates &+= 1
            return .duplicate
        case .fault(let fault):
            partitions[slot].deadLetters &+= 1
            addDeadLetter(
                fault, partition: partition, offset: offset, timestamp: timestamp, key: key,
                value: value)
            return .deadLetter
        }
    }

    /// Decodes a record and applies its effect, all of it or nothing.
    @inline(__always)
    private mutating func fold(
        partition: Int32, offset: Offset, key: RawSpan?, value: RawSpan?, source: some StateSource
    ) throws(StateStoreError) -> Folded {
        guard let value else { return .fault(.noValue) }
        let event: InventoryEvent
        do { event = try InventoryEvent(decoding: value) } catch { return .fault(error) }
        var identity: EventIdentity?
        if let range = event.eventId {
            let id = EventIdentity(
                partition: partition, id: JSONScanner.characters(of: range, in: value))
            if try isDuplicate(id, at: offset, source) { return .duplicate }
            identity = id
        }
        let fault: EventFault?
        switch event.type.kind {
        case .movement, .reservation, .reconciliation:
            fault = try applyToRow(
                event, partition: partition, offset: offset, key: key, source: source)
        case .availability, .audit:
            fault = addRow(event, partition: partition, offset: offset, key: key, value: value)
        }
        if let fault { return .fault(fault) }
        if let identity {
            pending.add(identity, at: offset.rawValue)
            pendingBytes &+= identity.id.count &+ 64
        }
        return .applied(event)
    }

    /// Applies quantities to the inventory row of `key`. Gives the fault that kept it from that.
    @inline(__always)
    private mutating func applyToRow(
        _ event: InventoryEvent, partition: Int32, offset: Offset, key: RawSpan?,
        source: some StateSource
    ) throws(StateStoreError) -> EventFault? {
        guard let key else { return .noKey }
        let hash = keys.hash(key)
        let number: Int
        if let known = keys.number(of: key, hash: hash) {
            number = known
        } else {
            switch try addCachedRow(of: key, hash: hash, source) {
            case .success(let added): number = added
            case .failure(let fault): return .invalidKey(fault)
            }
        }
        guard rows[number].apply(event) else { return .stockOverflow }
        rows[number].note(recordedAt: event.recordedAt, partition: partition, offset: offset)
        if !rows[number].isTouched {
            rows[number].isTouched = true
            touchedRows.append(number)
        }
        return nil
    }

    /// Brings the row of a key that is not in the cache into it, and gives its number.
    private mutating func addCachedRow(
        of key: RawSpan, hash: UInt64, _ source: some StateSource
    ) throws(StateStoreError) -> Result<Int, InventoryKeyFault> {
        let names: InventoryKey
        do { names = try InventoryKey(decoding: key) } catch { return .failure(error) }
        if !cacheIsComplete, !hasTriedPreloading {
            // One by one, the rows of a cold cache would cost ten times as much.
            hasTriedPreloading = true
            cacheIsComplete = try source.loadAllRows { key, row in
                let hash = keys.hash(key.rawSpan)
                guard keys.number(of: key.rawSpan, hash: hash) == nil else { return }
                _ = keys.insert(key.rawSpan, hash: hash)
                rows.append(row)
            }
            if let number = keys.number(of: key, hash: hash) { return .success(number) }
        }
        let row = cacheIsComplete ? InventoryRow() : try source.loadRow(names)
        rows.append(row)
        return .success(keys.insert(key, hash: hash))
    }

    /// Adds a row for an event that changes no quantity. Gives the fault that kept it from that.
    private mutating func addRow(
        _ event: InventoryEvent, partition: Int32, offset: Offset, key: RawSpan?, value: RawSpan
    ) -> EventFault? {
        func text(_ range: TextRange?) -> String? {
            range.map {
                String(decoding: JSONScanner.characters(of: $0, in: value), as: UTF8.self)
            }
        }
        pendingBytes &+= value.byteCount
        if let decision = event.decision, let channel = text(event.channel) {
            guard let key else { return .noKey }
            let names: InventoryKey
            do { names = try InventoryKey(decoding: key) } catch { return .invalidKey(error) }
            pending.availabilities.append(
                AvailabilityRow(
                    key: names, channel: channel, decision: decision, reason: text(event.reason),
                    recordedAt: event.recordedAt.rawValue, partition: partition,
                    offset: offset.rawValue))
            return nil
        }
        // An audit event may concern more than one item: any text is a key, or none.
        var keyText: String?
        if let key {
            guard key.byteCount <= InventoryKey.byteCountMax else { return .invalidKey(.tooLong) }
            guard let text = key.text() else { return .invalidKey(.notText) }
            guard !text.utf8.contains(0) else { return .invalidKey(.nulCharacter) }
            keyText = text
        }
        pending.audits.append(
            AuditRow(
                partition: partition, offset: offset.rawValue, type: event.type,
                who: text(event.who), why: text(event.reason), key: keyText,
                recordedAt: event.recordedAt.rawValue))
        return nil
    }

    private mutating func addDeadLetter(
        _ fault: EventFault, partition: Int32, offset: Offset, timestamp: Timestamp,
        key: RawSpan?, value: RawSpan?
    ) {
        func kept(_ bytes: RawSpan?) -> [UInt8]? {
            guard let bytes else { return nil }
            return bytes.extracting(first: DeadLetterRow.bytesMax).copy()
        }
        let row = DeadLetterRow(
            partition: partition, offset: offset.rawValue, reason: fault.description,
            timestamp: timestamp.rawValue, key: kept(key), keySize: key?.byteCount,
            value: kept(value), valueSize: value?.byteCount)
        pendingBytes &+= (row.key?.count ?? 0) &+ (row.value?.count ?? 0) &+ 128
        pending.deadLetters.append(row)
    }

    /// Whether this id was applied at most a window of offsets before `offset`.
    private mutating func isDuplicate(
        _ event: EventIdentity, at offset: Offset, _ source: some StateSource
    ) throws(StateStoreError) -> Bool {
        var earlier = pending.eventIds[event]
        if earlier == nil {
            if eventIdFilter == nil { eventIdFilter = try source.loadEventIdFilter() }
            let mayBeStored = eventIdFilter?.mayContain(
                partition: event.partition, id: event.id.rawSpan)
            if mayBeStored != false { earlier = try source.storedOffset(of: event) }
        }
        guard let earlier else { return false }
        let (distance, overflow) = offset.rawValue.subtractingReportingOverflow(earlier)
        return !overflow && distance <= deduplicationWindow
    }
}
