/// Tasks that prefer the pool run on its threads, and may block there: whoever has much to do that
/// blocks saves a switch of threads for each piece of it.
extension WorkerPool: TaskExecutor {
    /// Runs the next piece of a task.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        submit { [self] in unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
