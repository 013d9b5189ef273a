/// How a client connects, how long it waits, and when it gives up. Names and defaults are those of
/// Kafka's clients where they have one.
package struct ClientConfiguration: Hashable, Sendable {
    /// `client.id`: what the broker's logs call this client.
    package var clientID = "tally"
    /// `socket.connection.setup.timeout.ms`: how long a broker may take to accept a connection.
    package var connectMilliseconds: Int64 = 10_000
    /// `request.timeout.ms`: how long a broker may take to answer; a request that asks the broker
    /// to wait adds that time.
    package var requestMilliseconds: Int64 = 30_000
    /// `default.api.timeout.ms`: for how long what may work later is tried again.
    package var totalMilliseconds: Int64 = 60_000
    /// `retry.backoff.ms`: the pause before the second attempt; each later one is twice as long.
    package var backoffMilliseconds: Int64 = 100
    /// `retry.backoff.max.ms`: the longest pause.
    package var backoffMillisecondsMax: Int64 = 1_000
    /// `metadata.max.age.ms`: after so long it is asked anew who leads what.
    package var metadataMillisecondsMax: Int64 = 300_000
    /// The largest answer that is taken. A broker's own limit, `fetch.max.bytes`, is 55 MiB, and a
    /// single batch may exceed that.
    package var answerBytesMax = 256 << 20

    /// The defaults.
    package init() {}
}
