//! Applies the guardrail: asks role-resolver about the labels a request adds, and for a newer catalogue before a name is
//! refused.
//!
//! Such a request waits (503) if role-resolver can't answer, also where the tenant holds rather than refuses: before the
//! first read of Fluent nobody can say what a label means. Every other request passes without asking anybody.

use std::time::Duration;

use domain::matching::describe;
use runtime::error::{Error, Kind};

use crate::Gateway;
use crate::call::Call;
use crate::guardrail::{self, Refusal as Why, Ruling, Settings, Verdict};
use crate::scim_error::Refusal;

/// What is left of a request's time once it has waited for the catalogue, for the write itself.
const RESERVE: Duration = Duration::from_secs(5);
/// When a client should come back that nobody could answer about its labels.
const COME_BACK: Duration = Duration::from_secs(10);

/// The guardrail for one request, however often its change is tried.
#[derive(Debug)]
pub(crate) struct Guard<'a> {
    gateway: &'a Gateway,
    call: &'a Call,
    pub(crate) settings: Settings,
    read_again: bool,
}

impl<'a> Guard<'a> {
    /// The guardrail with the settings of the caller's tenant.
    pub(crate) async fn new(gateway: &'a Gateway, call: &'a Call) -> Result<Self, Refusal> {
        let settings = gateway.tenant(call).await?.settings;
        Ok(Self { gateway, call, settings, read_again: false })
    }

    /// Lets a change pass, or refuses it; says whether labels it adds give nothing.
    pub(crate) async fn pass(&mut self, verdict: Verdict) -> Result<bool, Refusal> {
        let added = match verdict {
            Verdict::Accept => return Ok(false),
            Verdict::Refuse(why) => return Err(refuse(&why)),
            Verdict::DependsOn(added) => added,
        };
        loop {
            let unmatched = self.gateway.upstream.match_labels(&self.call.caller, &added).await;
            let unmatched = unmatched.map_err(cannot_say)?;
            let adds_unmatched = !unmatched.is_empty();
            match guardrail::settle(unmatched, self.settings.guardrail, self.read_again) {
                Ruling::Accept => return Ok(adds_unmatched),
                Ruling::Refuse(why) => return Err(refuse(&why)),
                Ruling::ReadAgain => self.await_catalogue().await?,
            }
        }
    }

    /// Waits for a read of the catalogue that begins now, and lays the request's turn down meanwhile: who takes access
    /// away must not queue behind those who wait to give it.
    async fn await_catalogue(&mut self) -> Result<(), Refusal> {
        let Self { gateway, call, .. } = *self;
        let wait = gateway.limits.catalogue_wait.min(call.time_left().saturating_sub(RESERVE));
        let read = tokio::time::timeout(wait, gateway.upstream.await_catalogue(&call.caller, wait));
        let read = call.slot.aside(&gateway.admission, &call.caller, read).await?;
        if !matches!(read, Ok(Ok(()))) {
            let detail = "a role names something unknown so far, and Fluent could not be asked again in time";
            return Err(Refusal::unavailable(detail, COME_BACK));
        }
        self.read_again = true;
        Ok(())
    }
}

fn cannot_say(error: Error) -> Refusal {
    if error.kind() == Kind::Unavailable {
        return error.into();
    }
    tracing::warn!(reason = %error.reason(), "role-resolver cannot match labels");
    Refusal::unavailable("the roles cannot be checked now; try again later", COME_BACK)
}

fn refuse(why: &Why) -> Refusal {
    let error = match why {
        Why::WithoutLabels => scim::Error::invalid_value("an active user must have at least one value in roles"),
        Why::Rename => scim::Error::mutability("the userName of a user with a Fluent account cannot change"),
        Why::Unmatched(labels) => {
            scim::Error::invalid_value(format!("Fluent does not recognise these roles: {}", describe(labels)))
        }
    };
    error.into()
}
