import TallyFiles

/// A simulated directory: the entries that callers see, those that are certain to survive a power
/// loss, and the changes between. Guarded by the file system's mutex.
final class SimulatedDirectory: @unchecked Sendable {
    let identity: FileIdentity
    private(set) var live: [String: Entry] = [:]
    private var durable: [String: Entry] = [:]
    /// Changes since the last sync, oldest first; a power loss keeps the first so many of them.
    private var pending: [Change] = []

    /// What a name stands for.
    enum Entry {
        case file(SimulatedContents)
        case directory(SimulatedDirectory)
    }

    /// A change of the names; the second name of a rename is replaced in the same step.
    private enum Change {
        case insert(String, Entry)
        case remove(String)
        case rename(String, String)

        func apply(to entries: inout [String: Entry]) {
            switch self {
            case .insert(let name, let entry): entries[name] = entry
            case .remove(let name): entries[name] = nil
            case .rename(let source, let destination):
                entries[destination] = entries.removeValue(forKey: source)
            }
        }
    }

    init(identity: FileIdentity) {
        self.identity = identity
    }

    func insert(_ entry: Entry, as name: String) { apply(.insert(name, entry)) }

    func remove(_ name: String) { apply(.remove(name)) }

    func rename(_ source: String, to destination: String) { apply(.rename(source, destination)) }

    private func apply(_ change: Change) {
        change.apply(to: &live)
        pending.append(change)
    }

    /// All changes so far survive a power loss.
    func sync() {
        for change in pending { change.apply(to: &durable) }
        pending = []
    }

    /// The directory and all below it as a power loss leaves them.
    func afterPowerLoss(
        _ choices: inout some CrashChoices, _ copies: inout Copies, sectorBytes: Int
    ) -> SimulatedDirectory {
        if let known = copies.directories[ObjectIdentifier(self)] { return known }
        let copy = SimulatedDirectory(identity: identity)
        copies.directories[ObjectIdentifier(self)] = copy
        var entries = durable
        choices.startNode()
        for change in pending.prefix(choices.steps(of: pending.count)) {
            change.apply(to: &entries)
        }
        // In a fixed order, or a seed would not give the same outcome twice.
        for name in entries.keys.sorted() {
            switch entries[name] {
            case .directory(let directory):
                let child = directory.afterPowerLoss(
                    &choices, &copies, sectorBytes: sectorBytes)
                copy.live[name] = .directory(child)
            case .file(let contents):
                let key = ObjectIdentifier(contents)
                let child =
                    copies.files[key]
                    ?? contents.afterPowerLoss(&choices, sectorBytes: sectorBytes)
                copies.files[key] = child
                copy.live[name] = .file(child)
            case nil: break
            }
        }
        copy.durable = copy.live
        return copy
    }

    /// The directory and all below it as they are, what is durable and what is not included.
    func copy(_ copies: inout Copies) -> SimulatedDirectory {
        if let known = copies.directories[ObjectIdentifier(self)] { return known }
        let copy = SimulatedDirectory(identity: identity)
        copies.directories[ObjectIdentifier(self)] = copy
        copy.live = live.mapValues { $0.copy(&copies) }
        copy.durable = durable.mapValues { $0.copy(&copies) }
        copy.pending = pending.map { change in
            guard case .insert(let name, let entry) = change else { return change }
            return .insert(name, entry.copy(&copies))
        }
        return copy
    }

    /// What has been copied already: a file can be reached by more than one way.
    struct Copies {
        var files: [ObjectIdentifier: SimulatedContents] = [:]
        var directories: [ObjectIdentifier: SimulatedDirectory] = [:]
    }
}

extension SimulatedDirectory.Entry {
    fileprivate func copy(_ copies: inout SimulatedDirectory.Copies) -> Self {
        switch self {
        case .directory(let directory):
            return .directory(directory.copy(&copies))
        case .file(let contents):
            let child = copies.files[ObjectIdentifier(contents)] ?? contents.copy()
            copies.files[ObjectIdentifier(contents)] = child
            return .file(child)
        }
    }
}
