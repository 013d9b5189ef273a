extension TaskExecutor {
    /// Runs the next piece of a task, which is this executor's, here and now.
    package func run(_ job: UnownedJob) {
        unsafe job.runSynchronously(on: asUnownedTaskExecutor())
    }
}
