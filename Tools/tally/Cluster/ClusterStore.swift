import ArgumentParser
import Foundation
import TallyEtcd
import TallyReplication
import TallyStateStore

/// Where a cluster's members agree, as it is named on the command line.
enum ClusterStore: Hashable, Sendable {
    /// A file that the processes of one machine share.
    case sqlite(path: String)
    /// Client URLs of an etcd.
    case etcd(endpoints: [String])

    /// What can be written.
    static let help = "sqlite:FILE, or etcd:http://HOST:PORT,..."

    /// Opens it.
    ///
    /// - Parameter creating: whether a file that is not there is made.
    ///
    /// Throws ``CoordinationError``, and ``CommandFailure`` where there is no such file, or this
    /// build has no etcd.
    func open(creating: Bool) throws -> any CoordinationStore {
        switch self {
        case .sqlite(let path):
            guard creating || FileManager.default.fileExists(atPath: path) else {
                throw CommandFailure(
                    "\(path) is not there: no member of a cluster was started with it",
                    exitCode: ExitCodes.noInput)
            }
            let parent = URL(fileURLWithPath: path).deletingLastPathComponent()
            try FileManager.default.createDirectory(
                at: parent, withIntermediateDirectories: true)
            return try SQLiteCoordinationStore(path: path)
        case .etcd(let endpoints):
            #if Etcd
                return try EtcdCoordinationStore(EtcdConfiguration(endpoints: endpoints))
            #else
                throw CommandFailure(
                    "this build cannot talk to etcd (\(endpoints.joined(separator: ", "))): build "
                        + "it with `--traits Etcd`", exitCode: ExitCodes.usage)
            #endif
        }
    }
}

extension ClusterStore: ExpressibleByArgument {
    init?(argument: String) {
        if argument.hasPrefix("sqlite:") {
            let path = String(argument.dropFirst("sqlite:".count))
            guard !path.isEmpty else { return nil }
            self = .sqlite(path: path)
        } else if argument.hasPrefix("etcd:") {
            let endpoints = argument.dropFirst("etcd:".count).split(separator: ",")
                .map(String.init)
            guard !endpoints.isEmpty,
                endpoints.allSatisfy({ $0.hasPrefix("http://") || $0.hasPrefix("https://") })
            else { return nil }
            self = .etcd(endpoints: endpoints)
        } else {
            return nil
        }
    }
}
