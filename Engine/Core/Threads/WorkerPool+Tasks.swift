import TallyFiles

/// Tasks that prefer the pool run on its threads, and may block there: whoever has much to do that
/// blocks saves a switch of threads for each piece of it.
extension WorkerPool: TaskExecutor {
    /// Runs the next piece of a task; once the pool is closed, where other tasks run.
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isTaken = take(Job(run: { [self] in run(job) }))
        if !isTaken { globalConcurrentExecutor.enqueue(ExecutorJob(job)) }
    }

    /// Whether the task that asks prefers the pool: outside of actors it runs on its threads then.
    var isPreferredByTask: Bool {
        unsafe withUnsafeCurrentTask { task in
            unsafe task?.unownedTaskExecutor == asUnownedTaskExecutor()
        }
    }
}
