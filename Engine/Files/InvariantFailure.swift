/// Stops the process with a message, at a place that sound code never reaches.
///
/// For programmer errors only; the message is printed in release builds too.
package func invariantFailure(
    _ message: String, file: StaticString = #fileID, line: UInt = #line
) -> Never {
    fatalError(message, file: file, line: line)
}
