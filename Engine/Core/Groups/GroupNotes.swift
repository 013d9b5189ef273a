import TallyFiles
import TallyGroups
package import TallyRecords

/// `group-members.json`: who reads what in each group that has members, for people and for
/// `tally groups`, which look from outside. Nothing depends on it: it tells of the process that has
/// the directory open, if there is one.
///
/// `{"version":1,"groups":{"billing":{"generation":3,"members":[...]}}}`. A value.
package struct GroupNotes: Codable, Hashable, Sendable {
    static let file = NotesFile(name: "group-members.json")
    private static let currentVersion = 1

    /// The members of a group.
    package struct Group: Codable, Hashable, Sendable {
        /// The generation they are in.
        package var generation: Int32
        /// Where the group is in its life, in Kafka's words.
        package var state: String
        /// All of them, in the order in which they came.
        package var members: [Member]

        /// Which member reads which partition.
        package var owners: [TopicPartition: String] {
            var owners: [TopicPartition: String] = [:]
            for member in members {
                for (topic, partitions) in member.partitions {
                    for partition in partitions {
                        owners[TopicPartition(topic: topic, partition: partition)] = member.id
                    }
                }
            }
            return owners
        }
    }

    /// One member of a group.
    package struct Member: Codable, Hashable, Sendable {
        /// Its id.
        package var id: String
        /// Its `client.id`.
        package var clientID: String
        /// Its `group.instance.id`, where it is static.
        package var instanceID: String?
        /// What it reads, by topic.
        package var partitions: [String: [Int32]]
    }

    private var version = Self.currentVersion
    /// By id. Groups without members are left out.
    package private(set) var groups: [String: Group] = [:]

    /// What these groups look like.
    init(of descriptions: [GroupDescription]) {
        for description in descriptions where !description.members.isEmpty {
            let members = description.members.map { member in
                var partitions: [String: [Int32]] = [:]
                for (partition, owner) in description.owners where owner == member.memberID {
                    partitions[partition.topic, default: []].append(partition.partition)
                }
                return Member(
                    id: member.memberID, clientID: member.clientID,
                    instanceID: member.instanceID, partitions: partitions.mapValues { $0.sorted() })
            }
            groups[description.group] = Group(
                generation: description.generation, state: description.state.rawValue,
                members: members)
        }
    }

    /// What the file of a data directory says; nil where there is none that makes sense.
    static func read(from directory: String, on fileSystem: any FileSystem) -> GroupNotes? {
        guard let notes = file.read(GroupNotes.self, from: directory, on: fileSystem),
            notes.version == currentVersion
        else { return nil }
        return notes
    }
}

extension DirectoryReader {
    /// What the process that has the directory open says of its groups' members; nil where none
    /// has said anything. A crash leaves it behind.
    package func groupNotes() -> GroupNotes? {
        GroupNotes.read(from: data.path, on: data.fileSystem)
    }
}
