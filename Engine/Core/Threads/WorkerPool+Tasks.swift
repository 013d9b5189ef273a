/// Tasks that prefer the pool run on its threads, and may block there: whoever has much to do that
/// blocks saves a switch of threads for each piece of it.
extension WorkerPool: TaskExecutor {
    /// Runs the next piece of a task.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        submit { [self] in run(job) }
    }
}

extension TaskExecutor {
    /// Runs the next piece of a task, which is this executor's, here and now.
    package func run(_ job: UnownedJob) {
        unsafe job.runSynchronously(on: asUnownedTaskExecutor())
    }
}
