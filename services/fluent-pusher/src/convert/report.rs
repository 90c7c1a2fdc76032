//! Outcomes as identity-store is told them. A report is kept, encoded, until identity-store has taken it.

use std::collections::HashMap;

use bytes::Bytes;
use domain::id::TenantId;
use domain::revision::Position;
use prost::Message as _;
use proto::identity::v1::ReportOutcomesRequest;

use super::outcome_out;
use crate::outcome::Outcome;
use crate::store::Job;

/// The report of what became of a job's user.
pub(crate) fn encode(outcome: Outcome, job: &Job) -> Vec<u8> {
    let Position { epoch, revision } = job.desired;
    let outcomes = vec![outcome_out(job.user, revision, outcome)];
    ReportOutcomesRequest { tenant: String::new(), epoch: epoch.as_bytes().to_vec().into(), outcomes }.encode_to_vec()
}

/// Kept reports as calls: those of one epoch travel together.
pub(crate) fn requests<'a>(
    tenant: &TenantId,
    reports: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = ReportOutcomesRequest> {
    let mut requests: HashMap<Bytes, ReportOutcomesRequest> = HashMap::new();
    for report in reports {
        // Only we write them; one that can't be read, after an upgrade, is of no use to anybody.
        let Ok(one) = ReportOutcomesRequest::decode(report) else { continue };
        let ReportOutcomesRequest { tenant: _, epoch, outcomes } = one;
        let request = requests.entry(epoch.clone()).or_insert_with(|| ReportOutcomesRequest {
            tenant: tenant.to_string(),
            epoch,
            outcomes: Vec::new(),
        });
        request.outcomes.extend(outcomes);
    }
    requests.into_values()
}
