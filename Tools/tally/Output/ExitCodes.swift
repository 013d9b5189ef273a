import Glibc
import Tally
import TallyClient
import TallyImport
import TallyStateStore
import TallyWire

/// The exit codes of `tally`, the same for every command.
package enum ExitCodes {
    /// All went well.
    package static let success: Int32 = 0
    /// The command could not do its work, or found problems in what it checked.
    package static let failure: Int32 = 1
    /// The arguments are wrong (sysexits' EX_USAGE, as ArgumentParser has it).
    package static let usage: Int32 = 64
    /// The file, directory, topic or group does not exist (EX_NOINPUT).
    package static let noInput: Int32 = 66
    /// The records are compressed with a codec that this build cannot read (EX_UNAVAILABLE).
    package static let unsupportedCodec: Int32 = 69

    /// The code of an error that ends a command.
    static func code(for error: any Error) -> Int32 {
        switch error {
        case let failure as CommandFailure: failure.exitCode
        case EngineError.unknownTopic, EngineError.unknownPartition: noInput
        case EngineError.group(.groupIDNotFound): noInput
        case let error as ClientError where error.code == .unknownTopicOrPartition: noInput
        case LogError.file(let cause) where cause.isAbsent: noInput
        case StateStoreError.noProjectionYet: noInput
        case ByteInputError.cannotOpen(_, ENOENT): noInput
        case let error as RecordError:
            if case .codecNotSupported = error.kind { unsupportedCodec } else { failure }
        default: failure
        }
    }

    /// For the help texts.
    static let discussion = """
        Exit codes: 0 all went well; 1 the command failed, or found problems; 64 wrong arguments; \
        66 no such file, directory, topic or group; 69 the records' codec is not supported.
        """
}

/// Why a command ends early, in words for the person who ran it, and its exit code.
package struct CommandFailure: Error, CustomStringConvertible {
    /// What went wrong and what to do about it.
    package var description: String
    /// One of ``ExitCodes``.
    package var exitCode: Int32

    package init(_ description: String, exitCode: Int32 = ExitCodes.failure) {
        self.description = description
        self.exitCode = exitCode
    }
}
