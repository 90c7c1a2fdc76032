//! What follows from a ground: the effective sets of people, and which labels would give nothing.
//!
//! It is computed on a thread of its own, for a suggestion compares an unmatched label with the whole catalogue, which would
//! keep other callers waiting; and given up when nobody waits for it any more.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use domain::catalogue::Catalogue;
use domain::effective::{EffectiveSet, Holding, resolve_beside};
use domain::id::{GroupId, TenantId, UserId};
use domain::label::Label;
use domain::matching::{Matched, Matching, Unmatched};
use runtime::error::{Error, Reason};
use tokio_util::sync::CancellationToken;

use crate::ground::Ground;
use crate::resolver::{Person, Resolver};

/// When to ask again for what only the first read of the catalogue can tell.
const CATALOGUE_SOON: Duration = Duration::from_secs(5);

/// What labels are matched against before there is a catalogue.
static NONE: LazyLock<Catalogue> = LazyLock::new(Catalogue::default);

/// Whether anybody still waits for what is computed.
#[derive(Debug)]
pub(crate) struct Wanted(CancellationToken);

impl Wanted {
    /// An error if nobody does.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.is_cancelled() { Err(Error::new(Reason::ABORTED, "nobody waits for it any more")) } else { Ok(()) }
    }
}

/// Computes on a thread of its own. When the caller is gone, the work is told.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce(&Wanted) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let wanted = Wanted(CancellationToken::new());
    let _gone = wanted.0.clone().drop_guard();
    let computed = tokio::task::spawn_blocking(move || work(&wanted));
    computed.await.unwrap_or_else(|error| Err(Error::internal("matching labels", &error)))
}

/// One of several people, with its effective set.
#[derive(Debug)]
pub(crate) struct Computed {
    /// Its place among them.
    pub(crate) at: usize,
    /// Who it is.
    pub(crate) id: UserId,
    /// Its userName.
    pub(crate) name: String,
    /// Every group it is in, directly or through others.
    pub(crate) groups: Box<[GroupId]>,
    /// The set.
    pub(crate) set: EffectiveSet,
    /// Whether it is what it would be if nobody else had been asked about: whether others took no suggestion from it.
    pub(crate) whole: bool,
}

/// The effective sets of several people.
pub(crate) async fn compute(people: Vec<(usize, Person)>, ground: Arc<Ground>) -> Result<Vec<Computed>, Error> {
    aside(move |wanted| {
        let mut matching = Matching::new(ground.catalogue.as_ref().unwrap_or(&NONE), &ground.rules);
        let one = |(at, Person { id, name, groups, holding })| {
            wanted.check()?;
            let (holding, _) = counted(holding, &ground)?;
            let is_first = matching.is_fresh();
            let set = resolve_beside(&holding, &mut matching);
            let whole = !matching.ran_short() || is_first;
            Ok(Computed { at, id, name, groups, set, whole })
        };
        people.into_iter().map(one).collect()
    })
    .await
}

/// What counts of a holding under a ground, and the catalogue to match it against. Without a catalogue nothing can be said
/// of labels; but who has none, or is inactive, has no grants under any.
pub(crate) fn counted(holding: Holding, ground: &Ground) -> Result<(Holding, &Catalogue), Error> {
    let holding = if ground.names_are_labels { holding } else { holding.without_names() };
    match &ground.catalogue {
        Some(catalogue) => Ok((holding, catalogue)),
        None if holding.active && !holding.labels.is_empty() => Err(catalogue_missing()),
        None => Ok((holding, &NONE)),
    }
}

pub(crate) fn catalogue_missing() -> Error {
    Error::new(Reason::CATALOGUE_MISSING, "Fluent's roles, retailers and locations have not been read yet")
        .retry_after(CATALOGUE_SOON)
}

impl Resolver {
    /// Those of `labels` that would give nothing, in the order asked for; and, if they are wanted, the grants of the others.
    pub(crate) async fn matched(
        &self,
        tenant: &TenantId,
        labels: Vec<Label>,
        with_grants: bool,
    ) -> Result<(Vec<(Label, Unmatched)>, Matched), Error> {
        let ground = self.grounds.newest(&self.store, tenant).await?;
        aside(move |_| {
            let catalogue = ground.catalogue.as_ref().ok_or_else(catalogue_missing)?;
            let mut matching = Matching::new(catalogue, &ground.rules);
            let mut grants = Matched::new();
            if with_grants {
                grants.extend(labels.iter().filter_map(|label| matching.of(label).ok()).flatten());
            }
            Ok((matching.unmatched(labels), grants))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use runtime::error::{Error, Reason};

    use super::aside;

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_given_up() {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (tell, told) = mpsc::channel();
        let work = tokio::spawn(aside(move |wanted| {
            begun.send(()).unwrap();
            let given_up = loop {
                match wanted.check() {
                    Ok(()) => std::thread::yield_now(),
                    Err(error) => break error,
                }
            };
            tell.send(given_up.reason()).unwrap();
            Err::<(), Error>(given_up)
        }));
        has_begun.await.unwrap();
        work.abort();
        let reason = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_mins(1)));
        assert_eq!(reason.await.unwrap(), Ok(Reason::ABORTED));
    }
}
