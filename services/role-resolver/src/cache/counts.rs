//! What the cache counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::telemetry::Metrics;

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Source {
    /// Sets kept in this process.
    Near,
    /// Sets kept in Redis, or some of them.
    Shared,
    /// Another request's read of the store, which this one waited for.
    Flight,
    /// The store, which compared stamps and found all kept sets right.
    Compared,
    /// The store, which was read.
    Computed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct From {
    source: Source,
}

/// What became of a set that was to be kept in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Fill {
    /// It is kept.
    Stored,
    /// A newer one is kept already.
    Older,
    /// Redis did not answer, or too many were waiting.
    Dropped,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: Fill,
}

/// The counts. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    near: Counter,
    answers: Family<From, Counter>,
    fills: Family<Ended, Counter>,
    forged: Counter,
    lost: Counter,
    restored: Counter,
    behind: Gauge,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let answers = Family::<From, Counter>::default();
        // The answer that is given most is counted without looking its counter up.
        let near = answers.get_or_create(&From { source: Source::Near }).clone();
        let counts = Self {
            near,
            answers,
            fills: Family::default(),
            forged: Counter::default(),
            lost: Counter::default(),
            restored: Counter::default(),
            behind: Gauge::default(),
        };
        metrics.sub_registry("resolver", |registry| {
            registry.register("answers", "Effective sets answered, by where they came from", counts.answers.clone());
            registry.register("shared_fills", "Sets to be kept in Redis, by what became of it", counts.fills.clone());
            registry.register(
                "shared_forged",
                "Values in Redis that are no entries of ours: somebody writes there who should not",
                counts.forged.clone(),
            );
            registry.register("shared_lost", "Connections to Redis given up as slow or broken", counts.lost.clone());
            registry.register(
                "restored",
                "Times identity-store's database was found to be another than before, or to have gone back",
                counts.restored.clone(),
            );
            registry.register(
                "behind_revisions",
                "How many revisions a tenant's replica was behind when the feed was last read",
                counts.behind.clone(),
            );
        });
        counts
    }

    pub(crate) fn answered(&self, source: Source) {
        if source == Source::Near {
            self.near.inc();
        } else {
            self.answers.get_or_create(&From { source }).inc();
        }
    }

    pub(crate) fn filled(&self, outcome: Fill) {
        self.fills.get_or_create(&Ended { outcome }).inc();
    }

    pub(crate) fn forged(&self) {
        self.forged.inc();
    }

    pub(crate) fn lost(&self) {
        self.lost.inc();
    }

    pub(crate) fn restored(&self) {
        self.restored.inc();
    }

    pub(crate) fn behind(&self, revisions: u64) {
        self.behind.set(i64::try_from(revisions).unwrap_or(i64::MAX));
    }
}
