import Foundation
public import TallyRecords

extension Timestamp {
    /// The time by the system's clock.
    public static var now: Timestamp {
        Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    }
}
