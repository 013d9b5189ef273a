/// Stops the process with a message when a condition that the code relies on does not hold.
///
/// For programmer errors only. Unlike `precondition`, whose message is dropped by the optimizer,
/// the message is printed in release builds too.
///
/// - Parameters:
///   - condition: What must hold.
///   - message: What it means that it does not; evaluated only then.
@inlinable
package func invariant(
    _ condition: @autoclosure () -> Bool,
    _ message: @autoclosure () -> String,
    file: StaticString = #fileID,
    line: UInt = #line
) {
    if !condition() {
        fatalError(message(), file: file, line: line)
    }
}
