/// Which member of which cluster a data directory belongs to. A value.
package struct ClusterMembership: Hashable, Sendable {
    /// The member's number (`node.id`).
    package var nodeID: Int32
    /// The cluster (`cluster.id`).
    package var clusterID: String

    /// A member of a cluster.
    package init(nodeID: Int32, clusterID: String) {
        self.nodeID = nodeID
        self.clusterID = clusterID
    }
}

extension ClusterMembership: CustomStringConvertible {
    /// The member and the cluster, for errors.
    package var description: String { "member \(nodeID) of cluster \(clusterID)" }
}
