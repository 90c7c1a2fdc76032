//! What many samples say.

/// The spread of some samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// The spread of `samples`; not a number where there are none.
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |percent| quantile(&samples, percent);
        Self { count: samples.len(), p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// The middle one.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Summary::of(values.into_iter().collect()).p50
}

/// The smallest value that is not less than so many percent of all.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// A duration in milliseconds.
pub(crate) fn millis(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A count as a number to reckon with; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "nothing here is counted up to 2^53")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let summary = Summary::of((1..=200).rev().map(f64::from).collect());
        assert_eq!((summary.p50, summary.p90, summary.p99, summary.max), (100.0, 180.0, 198.0, 200.0));
        assert!((Summary::of(vec![7.0]).p99 - 7.0).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }
}
