use std::collections::BTreeSet;

use super::*;

type Calls = Vec<(TenantId, Vec<UserId>)>;

/// Answers with the user; keeps who was asked about together, and fails so wherever one of the poisoned is among them, or
/// never answers.
#[derive(Clone, Debug, Default)]
struct Echo {
    calls: Arc<Mutex<Calls>>,
    poisoned: Arc<BTreeSet<UserId>>,
    why: Option<Reason>,
    answers_nothing: bool,
}

impl Question for Echo {
    type Answer = UserId;

    async fn ask(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<UserId>, Error> {
        self.calls.lock().push((tenant.clone(), users.to_vec()));
        if self.answers_nothing {
            return Ok(Vec::new());
        }
        if users.iter().any(|user| self.poisoned.contains(user)) {
            let Some(why) = self.why else { std::future::pending().await };
            return Err(Error::new(why, "poisoned"));
        }
        Ok(users.to_vec())
    }
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn users() -> [UserId; 5] {
    std::array::from_fn(|_| UserId::new())
}

async fn ask_all(together: &Together<Echo>, tenant: &TenantId, users: &[UserId]) -> Vec<Result<UserId, Error>> {
    join_all(users.iter().map(|user| together.ask(tenant, *user))).await
}

#[tokio::test]
async fn those_who_ask_at_one_time_are_answered_by_one_call() {
    let (echo, users) = (Echo::default(), users());
    let together = Together::new(echo.clone());
    for _ in 0..2 {
        assert_eq!(ask_all(&together, &tenant("acme"), &users).await, users.map(Ok));
    }
    let calls = vec![(tenant("acme"), users.to_vec()); 2];
    assert_eq!(*echo.calls.lock(), calls);
    assert!(together.waiting.lock().is_empty());
}

#[tokio::test]
async fn each_tenant_is_asked_by_itself() {
    let (echo, users) = (Echo::default(), users());
    let together = Together::new(echo.clone());
    let (acme, bolt) = (tenant("acme"), tenant("bolt"));
    let (one, other) = tokio::join!(ask_all(&together, &acme, &users[..3]), ask_all(&together, &bolt, &users[2..]));
    assert_eq!(
        (one, other),
        (users[..3].iter().copied().map(Ok).collect(), users[2..].iter().copied().map(Ok).collect())
    );
    echo.calls.lock().sort();
    assert_eq!(*echo.calls.lock(), [(acme, users[..3].to_vec()), (bolt, users[2..].to_vec())]);
}

fn poisoned(user: UserId, why: Option<Reason>) -> Echo {
    Echo { poisoned: Arc::new(BTreeSet::from([user])), why, ..Echo::default() }
}

#[tokio::test]
async fn what_is_wrong_with_one_keeps_no_other_from_its_answer() {
    let users = users();
    let echo = poisoned(users[1], Some(Reason::INTERNAL));
    let together = Together::new(echo.clone());
    let answers = ask_all(&together, &tenant("acme"), &users).await;
    for (user, answer) in users.iter().zip(answers) {
        let wrong = *user == users[1];
        assert_eq!(answer.map_err(|error| error.reason()), if wrong { Err(Reason::INTERNAL) } else { Ok(*user) });
    }
    assert_eq!(echo.calls.lock().len(), 1 + users.len());
    // Alone, it is not asked twice.
    assert!(together.ask(&tenant("acme"), users[1]).await.is_err());
    assert_eq!(echo.calls.lock().len(), 2 + users.len());
}

#[tokio::test(start_paused = true)]
async fn one_about_whom_nothing_is_heard_keeps_the_others_for_a_second_and_the_urgent_not_at_all() {
    let (acme, users) = (tenant("acme"), users());
    let together = Together::new(poisoned(users[0], None));
    let begun = tokio::time::Instant::now();
    let unheard = tokio::spawn({
        let (together, acme) = (together.clone(), acme.clone());
        async move { together.ask(&acme, users[0]).await }
    });
    let others = ask_all(&together, &acme, &users[1..]);
    let urgent = async {
        assert_eq!(together.ask_alone(&acme, users[2]).await, Ok(users[2]));
        begun.elapsed()
    };
    let (others, waited) = tokio::join!(others, urgent);
    assert_eq!(others, users[1..].iter().copied().map(Ok).collect::<Vec<_>>());
    assert_eq!(waited, Duration::ZERO);
    assert!((TOGETHER..TOGETHER * 2).contains(&begun.elapsed()));
    assert!(!unheard.is_finished());
}

#[tokio::test]
async fn a_part_that_is_not_there_is_asked_once_for_all() {
    let (acme, users) = (tenant("acme"), users());
    for why in [Reason::UNAVAILABLE, Reason::RATE_LIMITED] {
        let echo = poisoned(users[3], Some(why));
        let answers = ask_all(&Together::new(echo.clone()), &acme, &users).await;
        assert!(answers.into_iter().all(|answer| answer.is_err_and(|error| error.reason() == why)));
        assert_eq!(echo.calls.lock().len(), 1);
    }
}

#[tokio::test]
async fn who_was_first_may_give_up_without_taking_the_others_along() {
    let (echo, users) = (Echo::default(), users());
    let together = Together::new(echo.clone());
    let (acme, others) = (
        tenant("acme"),
        tokio::spawn({
            let (together, users) = (together.clone(), users);
            async move {
                tokio::task::yield_now().await;
                ask_all(&together, &tenant("acme"), &users[1..]).await
            }
        }),
    );
    {
        let mut first = std::pin::pin!(together.ask(&acme, users[0]));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
    }
    assert_eq!(others.await.unwrap(), users[1..].iter().copied().map(Ok).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_part_that_leaves_a_question_out_answers_none() {
    let echo = Echo { answers_nothing: true, ..Echo::default() };
    let together = Together::new(echo);
    for answer in ask_all(&together, &tenant("acme"), &users()).await {
        assert_eq!(answer.unwrap_err().reason(), Reason::INTERNAL);
    }
    assert_eq!(together.ask(&tenant("acme"), UserId::new()).await.unwrap_err().reason(), Reason::INTERNAL);
}
