use std::collections::BTreeSet;

use super::*;

type Calls = Vec<(TenantId, Vec<UserId>)>;

/// Answers with the user; keeps who was asked about together, and fails wherever one of the poisoned is among them.
#[derive(Clone, Debug, Default)]
struct Echo {
    calls: Arc<Mutex<Calls>>,
    poisoned: Arc<BTreeSet<UserId>>,
    silent: bool,
}

impl Question for Echo {
    type Answer = UserId;

    async fn ask(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<UserId>, Error> {
        self.calls.lock().push((tenant.clone(), users.to_vec()));
        if self.silent {
            return Ok(Vec::new());
        }
        if users.iter().any(|user| self.poisoned.contains(user)) {
            return Err(Error::new(Reason::UNAVAILABLE, "poisoned"));
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

#[tokio::test]
async fn what_is_wrong_with_one_keeps_no_other_from_its_answer() {
    let users = users();
    let echo = Echo { poisoned: Arc::new(BTreeSet::from([users[1]])), ..Echo::default() };
    let together = Together::new(echo.clone());
    let answers = ask_all(&together, &tenant("acme"), &users).await;
    for (user, answer) in users.iter().zip(answers) {
        let wrong = *user == users[1];
        assert_eq!(answer.map_err(|error| error.reason()), if wrong { Err(Reason::UNAVAILABLE) } else { Ok(*user) });
    }
    assert_eq!(echo.calls.lock().len(), 1 + users.len());
    // Alone, it is not asked twice.
    assert!(together.ask(&tenant("acme"), users[1]).await.is_err());
    assert_eq!(echo.calls.lock().len(), 2 + users.len());
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
    let echo = Echo { silent: true, ..Echo::default() };
    let together = Together::new(echo);
    for answer in ask_all(&together, &tenant("acme"), &users()).await {
        assert_eq!(answer.unwrap_err().reason(), Reason::INTERNAL);
    }
    assert_eq!(together.ask(&tenant("acme"), UserId::new()).await.unwrap_err().reason(), Reason::INTERNAL);
}
