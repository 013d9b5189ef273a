import NIOCore
import NIOPosix
import TallyFiles

/// A thread that serves connections, and runs the tasks that use them: what comes is worked on
/// where it was received, and what is sent goes out from there, without a change of threads.
///
/// Such tasks may block it, at the cost of its own connections only. Thread rule: any thread.
package final class ConnectionThread: TaskExecutor {
    private let group: MultiThreadedEventLoopGroup
    let loop: any EventLoop

    /// Starts the thread; end it with ``stop()``.
    package init() {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        loop = group.next()
    }

    /// Runs the next piece of a task.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { [self] in run(job) }
    }

    /// Ends the thread. Its connections must be closed, and no task may run on it.
    package func stop() async {
        // It fails where it was done before, and then there is nothing to do.
        try? await group.shutdownGracefully()
    }
}
