import Tally
import TallyContracts
import TallyFiles

/// Contracts on the command line.
enum ContractFile {
    /// Reads a contract. Throws ``CommandFailure`` where there is no such file, and
    /// ``ContractError``.
    static func read(_ path: String) throws -> Contract {
        let bytes = try PosixFileSystem().readWhole(path, byteCountMax: Contract.byteCountMax)
        guard let bytes else {
            throw CommandFailure(
                "there is no contract \(path); name an AsyncAPI 3.0 document",
                exitCode: ExitCodes.noInput)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(path) is not UTF-8; write the contract in UTF-8")
        }
        return try Contract(yaml: text, file: path)
    }
}

extension TopicContract {
    /// The stated settings that the engine has; and, by name, those that are only for others.
    ///
    /// Throws ``ContractError`` with the place of a value that cannot be used.
    func configuration() throws(ContractError) -> (known: TopicConfiguration, foreign: [String]) {
        var known = TopicConfiguration()
        var foreign: [String] = []
        for (name, stated) in settings.sorted(by: { $0.key < $1.key }) {
            guard TopicSetting(rawValue: name) != nil else {
                foreign.append(name)
                continue
            }
            do {
                try known.set(name, to: stated.value)
            } catch {
                throw ContractError(stated.place, "\(error)")
            }
        }
        do {
            try known.checkTogether()
            try TopicName.check(name)
        } catch {
            throw ContractError(place, "\(error)")
        }
        return (known, foreign)
    }
}
