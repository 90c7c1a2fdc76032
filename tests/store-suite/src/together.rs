//! Doing many things at the same time.

/// Runs every task at once, each on the runtime by itself, and answers in their order.
pub(crate) async fn at_once<F>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::with_capacity(running.len());
    for task in running {
        answers.push(task.await.unwrap());
    }
    answers
}

/// The same of more than one connection carries: so many at a time.
pub(crate) async fn many_at_once<F>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    const AT_A_TIME: usize = 250;
    let mut tasks = tasks.into_iter().peekable();
    let mut answers = Vec::new();
    while tasks.peek().is_some() {
        answers.extend(at_once(tasks.by_ref().take(AT_A_TIME)).await);
    }
    answers
}
