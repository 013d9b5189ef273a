import Foundation
import Testing

/// Tools/Checks/setup.sh on machines that are made up: a folder of small scripts is all there is of
/// `swift`, `apt-get` and the like.
@Suite("Setup script")
struct SetupTests {
    struct Outcome {
        let status: Int32
        /// What it printed, errors included.
        let text: String
        /// The calls of `apt-get`, one a line.
        let calls: String
    }

    /// - Parameters:
    ///   - commands: scripts by name; `$here` is their folder.
    ///   - isRoot: what `id -u` says.
    ///   - traits: the script's argument; nil for none.
    static func run(
        _ commands: [String: String], isRoot: Bool = true, traits: String? = nil
    ) throws -> Outcome {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("tally-setup-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var commands = commands
        commands["id"] = "echo \(isRoot ? 0 : 1000)"
        for (name, script) in commands {
            let file = folder.appendingPathComponent(name)
            try "#!/bin/sh\nhere=\(folder.path)\n\(script)\n".write(
                to: file, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o755], ofItemAtPath: file.path)
        }
        // The ordinary tools, and none of those that the script asks for.
        for name in ["sed", "grep", "sort", "head", "tail", "tr", "mktemp", "rm", "env", "true"] {
            let path = ["/usr/bin/", "/bin/"].map { $0 + name }
                .first { FileManager.default.fileExists(atPath: $0) }
            try FileManager.default.createSymbolicLink(
                atPath: folder.appendingPathComponent(name).path,
                withDestinationPath: try #require(path))
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        let script = SourceTree.root.appendingPathComponent("Tools/Checks/setup.sh").path
        process.arguments = [script] + (traits.map { [$0] } ?? [])
        process.environment = [
            "PATH": folder.path, "TALLY_HEADER_FOLDERS": folder.path, "TMPDIR": folder.path,
        ]
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let calls = try? String(contentsOf: folder.appendingPathComponent("calls"), encoding: .utf8)
        return Outcome(
            status: process.terminationStatus, text: String(decoding: text, as: UTF8.self),
            calls: calls ?? "")
    }

    static let swift = "echo 'Swift version 6.2.1 (swift-6.2.1-RELEASE)'"
    /// Says that both libraries are there once `apt-get install` has worked.
    static let pkgConfig = "[ -f $here/installed ]"
    static let aptGet = """
        echo "$@" >> $here/calls
        case "$*" in *install*) : > $here/installed;; esac
        """
    /// Knows no packages before `apt-get update`, as in a fresh container.
    static let aptGetWithoutLists = """
        echo "$@" >> $here/calls
        case "$*" in
        *update*) : > $here/updated;;
        *) [ -f $here/updated ] && : > $here/installed || { echo "no package"; exit 100; };;
        esac
        """

    @Test("nothing is installed where all is there")
    func allThere() throws {
        let outcome = try Self.run(["swift": Self.swift, "pkg-config": "true"])
        #expect(outcome.status == 0)
        #expect(outcome.text == "")
    }

    @Test("a header is enough, and dpkg's word too")
    func otherSigns() throws {
        let dpkg = try Self.run(["swift": Self.swift, "dpkg-query": "echo installed"])
        #expect(dpkg.status == 0)
        // The files of the made-up machine lie where the headers are looked for.
        let header = try Self.run(["swift": Self.swift, "lz4frame.h": "", "sqlite3.h": ""])
        #expect(header.status == 0)
        let removed = try Self.run(["swift": Self.swift, "dpkg-query": "echo config-files"])
        #expect(removed.status == 1)
    }

    @Test("Swift that is missing or too old is told, with the version that is needed")
    func swiftVersions() throws {
        let missing = try Self.run(["pkg-config": "true"])
        #expect(missing.status == 1)
        #expect(missing.text.contains("there is no 'swift'. Install Swift 6.2 or newer"))
        for (version, isEnough) in [
            ("5.10.1", false), ("6.1", false), ("6.2", true), ("6.10", true), ("7.0", true),
        ] {
            let outcome = try Self.run([
                "swift": "echo 'Apple Swift version \(version) (x)'", "pkg-config": "true",
            ])
            #expect((outcome.status == 0) == isEnough, "\(version): \(outcome.text)")
            #expect(isEnough || outcome.text.contains("is too old. Install Swift 6.2 or newer"))
        }
    }

    @Test("root installs what is missing, and updates the package lists only if it must")
    func installs() throws {
        let ready = try Self.run([
            "swift": Self.swift, "pkg-config": Self.pkgConfig, "apt-get": Self.aptGet,
        ])
        #expect(ready.status == 0, "\(ready.text)")
        #expect(
            ready.calls == "install -y -qq --no-install-recommends liblz4-dev libsqlite3-dev\n")

        let fresh = try Self.run([
            "swift": Self.swift, "pkg-config": Self.pkgConfig, "apt-get": Self.aptGetWithoutLists,
        ])
        #expect(fresh.status == 0, "\(fresh.text)")
        let calls = fresh.calls.split(separator: "\n").map { $0.prefix(7) }
        #expect(calls == ["install", "update ", "install"])
    }

    @Test(
        "libraries of package traits are installed where their traits are named",
        arguments: [
            ("Gzip", "zlib1g-dev"), ("Snappy", "libsnappy-dev"), ("Zstd", "libzstd-dev"),
            ("Gzip,Snappy,Zstd", "zlib1g-dev libsnappy-dev libzstd-dev"),
            ("Zstd,Gzip", "zlib1g-dev libzstd-dev"),
        ])
    func traits(names: String, packages: String) throws {
        let outcome = try Self.run(
            [
                "swift": Self.swift, "apt-get": Self.aptGet,
                "pkg-config":
                    "case $2 in liblz4 | sqlite3) ;; *) [ -f $here/installed ] ;; esac",
            ], traits: names)
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.calls.hasSuffix("--no-install-recommends \(packages)\n"))
        let headers = [
            "lz4frame.h", "sqlite3.h", "zlib.h", "snappy-c.h", "zstd.h",
        ]
        let there = Dictionary(uniqueKeysWithValues: headers.map { ($0, "") })
            .merging(["swift": Self.swift]) { $1 }
        #expect(try Self.run(there, traits: names).text == "")
        let none = try Self.run(["swift": Self.swift, "pkg-config": "true"], traits: "")
        #expect(none.status == 0 && none.text == "")
    }

    @Test("only what is missing is installed")
    func oneMissing() throws {
        let outcome = try Self.run([
            "swift": Self.swift, "apt-get": Self.aptGet,
            "pkg-config": "[ \"$2\" = liblz4 ] || [ -f $here/installed ]",
        ])
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.calls.hasSuffix("--no-install-recommends libsqlite3-dev\n"))
    }

    @Test("who may not install is told what to install")
    func mayNot() throws {
        let noSudo = try Self.run(
            ["swift": Self.swift, "apt-get": Self.aptGet], isRoot: false)
        let noPassword = try Self.run(
            ["swift": Self.swift, "apt-get": Self.aptGet, "sudo": "exit 1"], isRoot: false)
        let noAptGet = try Self.run(["swift": Self.swift])
        for outcome in [noSudo, noPassword, noAptGet] {
            #expect(outcome.status == 1)
            #expect(outcome.calls == "")
            #expect(outcome.text.contains("please install: liblz4-dev libsqlite3-dev"))
        }
        let sudo = try Self.run(
            [
                "swift": Self.swift, "apt-get": Self.aptGet, "pkg-config": Self.pkgConfig,
                "sudo": "shift; exec \"$@\"",
            ], isRoot: false)
        #expect(sudo.status == 0, "\(sudo.text)")
    }

    @Test("an installation that fails is told with apt-get's own words")
    func fails() throws {
        let outcome = try Self.run([
            "swift": Self.swift, "apt-get": "echo 'E: Unable to locate package'; exit 100",
        ])
        #expect(outcome.status == 1)
        #expect(outcome.text.contains("setup: apt-get: E: Unable to locate package"))
        #expect(outcome.text.contains("could not install liblz4-dev libsqlite3-dev"))
    }
}
