import TallyFiles

/// What a power loss leaves of what was not synced, where it is not left to chance.
package enum CrashKeeping: Sendable {
    case nothing
    case everything
}

extension SimulatedFileSystem {
    /// Loses power: the file system as it is found afterwards, which chance decides.
    ///
    /// Of each file any sectors of unsynced writes survive, in any order, and any length it had
    /// since it was synced; of each directory the first so many unsynced changes. This file system
    /// is gone: its files throw ESTALE. Asked again, it gives another outcome of the same crash.
    ///
    /// - Parameters:
    ///   - generator: Decides. The same numbers give the same outcome.
    ///   - sectorBytes: How much the disk writes at once.
    package func crash(
        choose generator: inout some RandomNumberGenerator, sectorBytes: Int = 512
    ) -> SimulatedFileSystem {
        var choices = RandomChoices(generator: generator)
        let successor = losePower(&choices, sectorBytes: sectorBytes)
        generator = choices.generator
        return successor
    }

    /// Loses power and keeps nothing, or everything, of what was not synced.
    package func crash(keeping: CrashKeeping) -> SimulatedFileSystem {
        switch keeping {
        case .nothing:
            var choices = KeepNothing()
            return losePower(&choices, sectorBytes: 512)
        case .everything:
            var choices = KeepEverything()
            return losePower(&choices, sectorBytes: 512)
        }
    }

    /// The process is killed: everything that was written stays, synced or not; its locks are
    /// released. This file system is gone: its files throw ESTALE.
    package func processCrash() -> SimulatedFileSystem {
        succeed { state in
            var copies = SimulatedDirectory.Copies()
            return state.root.copy(&copies)
        }
    }

    private func losePower(
        _ choices: inout some CrashChoices, sectorBytes: Int
    ) -> SimulatedFileSystem {
        succeed { state in
            var copies = SimulatedDirectory.Copies()
            return state.root.afterPowerLoss(&choices, &copies, sectorBytes: sectorBytes)
        }
    }

    /// Ends this file system and starts another with what is left of its tree.
    private func succeed(
        _ tree: (SimulatedState) -> SimulatedDirectory
    ) -> SimulatedFileSystem {
        state.withLock { state in
            state.isGone = true
            var successor = SimulatedState()
            successor.root = tree(state)
            successor.usedBytes = successor.root.allocatedByteCount
            successor.nextInode = state.nextInode
            successor.capacityBytes = state.capacityBytes
            successor.openFilesMax = state.openFilesMax
            successor.supportsReserving = state.supportsReserving
            successor.clock = state.clock
            return SimulatedFileSystem(successor)
        }
    }
}

extension SimulatedDirectory {
    /// What the files in and below it take.
    fileprivate var allocatedByteCount: Int {
        live.values.reduce(0) { sum, entry in
            switch entry {
            case .file(let contents): sum + contents.allocatedByteCount
            case .directory(let directory): sum + directory.allocatedByteCount
            }
        }
    }
}
