import TallyRecords

extension Codec {
    /// The codecs that the build under test reads and writes.
    package static let ofThisBuild = allCases.filter(\.isSupported)
    /// Those that it was built without: tests of what is said then need one.
    package static let missing = allCases.filter { !$0.isSupported }
}
