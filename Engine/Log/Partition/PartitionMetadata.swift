package import TallyFiles

/// Kafka's `partition.metadata`: which topic, by identity, a partition directory belongs to.
package enum PartitionMetadata {
    /// Kafka's name for the file.
    package static let fileName = "partition.metadata"

    /// The topic's identity; nil when the file is absent.
    package static func read(
        from directory: String, on fileSystem: any FileSystem
    ) throws(LogError) -> TopicID? {
        let path = joinPath(directory, fileName)
        let bytes: [UInt8]?
        do {
            bytes = try fileSystem.readWhole(path, byteCountMax: 4096)
        } catch {
            throw .file(error)
        }
        guard let bytes else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard lines.first == "version: 0", lines.count >= 2, lines[1].hasPrefix("topic_id: "),
            let id = TopicID(lines[1].dropFirst("topic_id: ".count))
        else {
            throw .corruption(
                Corruption(
                    file: path, position: .start,
                    reason: "it is not \"version: 0\" and \"topic_id: \" with 22 characters"))
        }
        return id
    }

    /// Writes the file; it is on stable storage once the caller has synced the directory.
    package static func write(
        _ id: TopicID, to directory: String, on fileSystem: any FileSystem
    ) throws(LogError) {
        do {
            let bytes = Array("version: 0\ntopic_id: \(id)".utf8)
            try fileSystem.replace(joinPath(directory, fileName), with: bytes)
        } catch {
            throw .file(error)
        }
    }
}
