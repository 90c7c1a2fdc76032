//! Tells operators of tokens that are near their end or old: in the metrics, always; in the log, once for each token and
//! stage. A token is named by its public id, which opens nothing.

use std::collections::{HashMap, HashSet};

use domain::id::TenantId;
use domain::token::TokenId;
use domain::token_age::Ageing;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::telemetry::{Label, Metrics};

use crate::failure::Failure;
use crate::store::Store;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    tenant: Label,
    stage: &'static str,
}

/// What was told.
#[derive(Debug)]
pub(crate) struct Announcer {
    tokens: Family<Of, Gauge>,
    told: Mutex<HashMap<TokenId, Ageing>>,
    counted: Mutex<HashSet<Of>>,
}

impl Announcer {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let tokens = Family::<Of, Gauge>::default();
        metrics.sub_registry("identity_store", |registry| {
            let help = "Good tokens that need a successor, by how near their end they are";
            registry.register("ageing_tokens", help, tokens.clone());
        });
        Self { tokens, told: Mutex::default(), counted: Mutex::default() }
    }

    /// Looks at all tokens, and tells what is new.
    pub(crate) async fn look(&self, store: &Store) -> Result<(), Failure> {
        for (tenant, token, ageing) in self.note(store.ageing_tokens().await?) {
            tracing::warn!(%tenant, %token, "a token {ageing}: issue the next, change its holder over, revoke it");
        }
        Ok(())
    }

    /// Counts them, and answers those that nothing was told of, or less.
    fn note(&self, ageing: Vec<(TenantId, TokenId, Ageing)>) -> Vec<(TenantId, TokenId, Ageing)> {
        let mut counts = HashMap::<Of, i64>::new();
        for (tenant, _, stage) in &ageing {
            *counts.entry(Of { tenant: tenant.as_str().into(), stage: stage.as_str() }).or_default() += 1;
        }
        for (of, count) in &counts {
            self.tokens.get_or_create(of).set(*count);
        }
        // What was there and is gone is not counted any longer; what stays is there at every moment.
        let mut counted = self.counted.lock();
        for gone in counted.iter().filter(|of| !counts.contains_key(*of)) {
            self.tokens.remove(gone);
        }
        *counted = counts.into_keys().collect();
        drop(counted);
        let mut told = self.told.lock();
        let before = std::mem::take(&mut *told);
        told.extend(ageing.iter().map(|(_, token, stage)| (token.clone(), *stage)));
        ageing.into_iter().filter(|(_, token, stage)| before.get(token) != Some(stage)).collect()
    }
}

#[cfg(test)]
mod tests {
    use runtime::telemetry::Metrics;

    use super::{Ageing, Announcer};

    #[test]
    fn each_stage_of_a_token_is_told_once() {
        let metrics = Metrics::new();
        let announcer = Announcer::new(&metrics);
        let token = |n: u8, stage| {
            let token = domain::token::BearerToken::generate().id().clone();
            (format!("t{n}").parse().unwrap(), token, stage)
        };
        let (old, near) = (token(1, Ageing::YearOld), token(2, Ageing::Within30Days));
        assert_eq!(announcer.note(vec![old.clone(), near.clone()]), [old.clone(), near.clone()]);
        assert_eq!(announcer.note(vec![old, near.clone()]), []);
        let nearer = (near.0, near.1, Ageing::Within14Days);
        assert_eq!(announcer.note(vec![nearer.clone()]), [nearer]);
        let text = metrics.encode();
        let counted = r#"rolecall_identity_store_ageing_tokens{tenant="t2",stage="ends_within_14_days"} 1"#;
        assert!(text.contains(counted), "{text}");
        assert!(!text.contains("t1"), "it is gone: {text}");
    }
}
