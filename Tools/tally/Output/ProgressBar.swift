import Foundation
import Synchronization

/// A line on the terminal that shows how far something is; nothing where nobody watches.
///
/// Thread rule: any thread.
final class ProgressBar: Sendable {
    private let title: String
    private let isShown = Console.isInteractive
    private let lastShown = Mutex(Date.distantPast)

    init(_ title: String) { self.title = title }

    /// Shows the state, a few times a second at most.
    func update(_ done: Int64, of total: Int64, unit: String) {
        guard isShown else { return }
        let isDue = lastShown.withLock { last in
            guard Date().timeIntervalSince(last) > 0.1 else { return false }
            last = Date()
            return true
        }
        guard isDue else { return }
        let share = total > 0 ? min(Double(done) / Double(total), 1) : 0
        let width = 30
        let filled = Int(share * Double(width))
        let bar =
            String(repeating: "#", count: filled)
            + String(repeating: ".", count: width - filled)
        let percent = Format.fixed(share * 100, 0)
        write("\r\u{1B}[K\(title) [\(bar)] \(percent) %  \(done.grouped) \(unit)")
    }

    /// Clears the line.
    func finish() {
        if isShown { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}
