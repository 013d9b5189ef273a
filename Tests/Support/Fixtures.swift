import Foundation

/// Finds the repository's `fixtures` folder, wherever the tests are run from.
package enum Fixtures {
    /// The root of the repository: two folders above this file's.
    package static let repositoryURL = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Where a fixture is, given its path within `fixtures`.
    package static func url(_ name: String) -> URL {
        repositoryURL.appendingPathComponent("fixtures").appendingPathComponent(name)
    }

    /// The path of a fixture, given its path within `fixtures`.
    package static func path(_ name: String) -> String {
        url(name).path
    }

    /// The bytes of a fixture.
    package static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: url(name)))
    }
}
