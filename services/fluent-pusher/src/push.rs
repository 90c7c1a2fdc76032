//! One account, looked at once: who it belongs to, what it should be, what it is, and the difference sent.
//!
//! Every step can be repeated. What is sent is decided afresh from what is read, so a crash at any point, a lost answer
//! or a second worker end in the same state.

use std::time::Duration;

use domain::clock::Timestamp;
use domain::fold::fold;
use domain::settings::{Adoption, DisplayNames, Rename};
use rand::Rng as _;
use rand::distr::Alphanumeric;
use secrecy::SecretString;

use crate::account::{Account, Context, Profile, Roles};
use crate::fluent::{Cause, Error as FluentError, NewAccount, Refusal};
use crate::outcome::{ACCOUNT_EXISTS, MASS_DEPARTURE, Outcome, PROTECTED, RENAMED, Standing as How, held_reasons};
use crate::peers::{Effective, Identity, Labels, Person, Present, Resolver};
use crate::plan::{Limits, Mutation, Update, Wanted, plan};
use crate::profile::{profile, some_first_name};
use crate::store::{Decision, Entry, Job, Standing, Store};
use crate::tenants::Tenant;

/// Fluent's longest user name, and the longest `ref`.
const MAX_USERNAME: usize = 250;
const MAX_REF: usize = 100;

/// An account whose making was asked for and not answered may still appear: no request takes as long as this.
const DOUBT: Duration = Duration::from_mins(5);

/// Why an account could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("Fluent failed")]
    Fluent(#[from] FluentError),
    /// Fluent refuses to take away what has to go.
    #[error("Fluent refused a removal")]
    Kept(Refusal),
    #[error("another part of Rolecall failed")]
    Peer(#[from] runtime::error::Error),
    #[error("the pusher's own tables failed")]
    Store(#[from] sql::Error),
    #[error("the lease ran out before all was sent")]
    LeaseLost,
    /// The id in the ledger is that of another account: the entry is forgotten, and what it was about is looked for anew.
    #[error("the account that the ledger names bears another name")]
    Stranger,
    /// Nothing is there to be closed, but it may still appear.
    #[error("an account whose making was not answered is not there yet")]
    Doubtful {
        /// After this it does not appear any more.
        until: Timestamp,
    },
}

/// How an account was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What identity-store is told; `None` where the account is nobody's.
    pub(crate) outcome: Option<Outcome>,
    /// Why a person should look at it.
    pub(crate) attention: Option<&'static str>,
    /// A dismissal that met an account we may not touch: a person must act now.
    pub(crate) alert: bool,
    /// The name under which its user goes on, once the account was given up.
    pub(crate) released_to: Option<String>,
}

/// One look at one account.
#[derive(Debug)]
pub(crate) struct Push<'a> {
    pub(crate) store: &'a Store,
    pub(crate) identity: &'a Identity,
    pub(crate) resolver: &'a Resolver,
    pub(crate) tenant: &'a Tenant,
    pub(crate) job: &'a Job,
    pub(crate) clock: &'a domain::clock::Clock,
}

/// What is to be done about an account that stands there without being ours.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Found {
    /// It is ours now.
    Adopted(Account),
    /// It waits for an operator.
    Parked,
}

impl Push<'_> {
    pub(crate) async fn run(&self) -> Result<Verdict, Failure> {
        let Job { account, user, .. } = self.job;
        let ledger = self.store.ledger(&self.tenant.id, account).await?;
        if self.tenant.protects(account) {
            return self.protected(ledger).await;
        }
        if ledger.as_ref().and_then(|entry| entry.user).is_some_and(|owner| owner != *user) {
            // Somebody else has taken the name since this was leased.
            return Err(Failure::LeaseLost);
        }
        let ledger = match ledger {
            Some(entry) => self.in_this_fluent(entry).await?,
            None => None,
        };
        let present = self.present().await?;
        let Present::Active(person) = present else { return self.left(ledger, present).await };
        if fold(&person.user_name) != *account {
            return self.renamed(ledger, &person).await;
        }
        match self.effective().await?.filter(|set| set.active) {
            Some(set) if self.job.renamed => self.without_its_account(ledger, &person, &set).await,
            Some(set) => self.provision(ledger, &person, &set).await,
            None => self.has_left(ledger).await,
        }
    }

    /// An entry that was made in another Fluent than the tenant's present one. Its id may be anybody's here: it is believed
    /// if the account bears the name too, and forgotten if not.
    async fn in_this_fluent(&self, entry: Entry) -> Result<Option<Entry>, Failure> {
        let here = &self.tenant.place;
        let unknown = entry.fluent.is_empty() && !matches!(entry.standing, Standing::Ours { .. });
        if entry.fluent == *here || unknown {
            return Ok(Some(entry));
        }
        if let Standing::Ours { fluent_id } = &entry.standing
            && let Some(account) = self.tenant.fluent.account_by_id(fluent_id).await?
            && fold(&account.username) == fold(&entry.user_name)
        {
            self.still(self.store.found_again(&self.tenant.id, self.job, here).await?)?;
            return Ok(Some(entry));
        }
        tracing::warn!(tenant = %self.tenant.id, user = %self.job.user,
            "an account that was known in another Fluent is not in this one: it is looked for by its name");
        self.forget().await?;
        Ok(None)
    }

    /// The account, if it bears the name that the ledger knows: else nothing more is done to it.
    async fn known(&self, account: Account, user_name: &str) -> Result<Account, Failure> {
        if fold(&account.username) == fold(user_name) {
            return Ok(account);
        }
        self.forget().await?;
        Err(Failure::Stranger)
    }

    async fn present(&self) -> Result<Present, Failure> {
        Ok(self.identity.present(&self.tenant.id, self.job.user, self.is_urgent()).await?)
    }

    async fn effective(&self) -> Result<Option<Effective>, Failure> {
        Ok(self.resolver.effective(&self.tenant.id, self.job.user, self.is_urgent()).await?)
    }

    fn is_urgent(&self) -> bool {
        self.job.gone || self.job.revokes
    }

    /// The user is deleted or inactive, by the resolver's word: whether it is held back, only the store says.
    async fn has_left(&self, ledger: Option<Entry>) -> Result<Verdict, Failure> {
        let present = self.present().await?;
        self.left(ledger, present).await
    }

    async fn left(&self, ledger: Option<Entry>, present: Present) -> Result<Verdict, Failure> {
        match present {
            Present::HeldBack(labels) => self.hold_back(ledger, labels).await,
            Present::Active(_) | Present::Gone => self.dismiss(ledger).await,
        }
    }

    /// The user left with a crowd, and waits to be released. That alone takes nothing from its account; what its labels do
    /// not give any more goes, as from everyone.
    async fn hold_back(&self, ledger: Option<Entry>, labels: Labels) -> Result<Verdict, Failure> {
        if let Some(entry) = ledger.as_ref().filter(|entry| self.is_given_up(entry)) {
            return self.stays_closed(entry.clone()).await;
        }
        let Labels { stated: mut labels, names } = labels;
        if !names.is_empty() && self.identity.policies(&self.tenant.id).await?.display_names == DisplayNames::Labels {
            labels.extend(names);
        }
        let roles = self.resolver.given_by(&self.tenant.id, &labels).await?;
        self.shrink(ledger, roles, vec![MASS_DEPARTURE.to_owned()]).await
    }

    /// Nothing is sent to a protected account. If its user is gone, a person must act.
    async fn protected(&self, ledger: Option<Entry>) -> Result<Verdict, Failure> {
        let alert = self.job.gone && matches!(self.present().await?, Present::Gone);
        let mut outcome = Outcome::without_account(How::Held, vec![PROTECTED.to_owned()]);
        if let Some(Entry { standing: Standing::Ours { fluent_id }, .. }) = ledger {
            outcome.fluent_id = Some(fluent_id);
        }
        Ok(Verdict { attention: Some(PROTECTED), alert, ..done(outcome) })
    }

    /// The user is deleted or inactive. An account of ours is closed by its id before anything is read.
    async fn dismiss(&self, ledger: Option<Entry>) -> Result<Verdict, Failure> {
        let account = match ledger {
            Some(Entry { standing: Standing::Ours { fluent_id }, user_name, .. }) => {
                match self.shut(&fluent_id).await? {
                    Some(account) => Some(self.known(account, &user_name).await?),
                    None => None,
                }
            }
            Some(entry) if entry.standing == Standing::Creating => {
                let found = self.exactly(&entry.user_name).await?;
                match &found {
                    Some(account) => self.take(account).await?,
                    None => self.certain(&entry)?,
                }
                found
            }
            // A name the user bore before it had an account: what stands there is not the user's.
            None if fold(&self.job.user_name) != self.job.account => None,
            ledger => match self.found(ledger.as_ref(), &self.job.user_name, &Roles::default()).await? {
                Some(Found::Adopted(account)) => Some(account),
                Some(Found::Parked) => return Ok(Verdict { alert: true, ..held(ACCOUNT_EXISTS) }),
                None => None,
            },
        };
        let Some(account) = account else {
            self.forget().await?;
            return Ok(done(Outcome::without_account(How::Inactive, Vec::new())));
        };
        let account = self.make(account, &Wanted::Nothing).await?;
        Ok(done(self.outcome(&account, How::Inactive, Vec::new())))
    }

    /// Closes an account; `None` if it is not there any more.
    async fn shut(&self, fluent_id: &str) -> Result<Option<Account>, Failure> {
        self.in_time()?;
        match self.tenant.fluent.update(fluent_id, &Update::close()).await {
            Ok(account) => Ok(Some(account)),
            // Refused: perhaps it is not there. What is there can be read, and is then closed by the plan.
            Err(FluentError::Permanent(_)) => Ok(self.tenant.fluent.account_by_id(fluent_id).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// The account bears another name than its user. Fluent can't rename it.
    async fn renamed(&self, ledger: Option<Entry>, person: &Person) -> Result<Verdict, Failure> {
        let Some(entry) = ledger.filter(|entry| entry.standing != Standing::Parked) else {
            // No account of ours under the old name: the user goes on under the new one.
            let released_to = Some(person.user_name.clone());
            return Ok(Verdict { outcome: None, attention: None, alert: false, released_to });
        };
        if self.is_given_up(&entry) {
            return self.stays_closed(entry).await;
        }
        let Some(set) = self.effective().await?.filter(|set| set.active) else {
            return self.has_left(Some(entry)).await;
        };
        if entry.decided(Decision::Keep, &person.user_name) {
            return self.provision(Some(entry), person, &set).await;
        }
        let replace = entry.decided(Decision::Replace, &person.user_name)
            || self.identity.policies(&self.tenant.id).await?.rename == Rename::Replace;
        if replace {
            self.dismiss(Some(entry)).await?;
            let released_to = Some(person.user_name.clone());
            return Ok(Verdict { outcome: None, attention: None, alert: false, released_to });
        }
        let reasons = std::iter::once(RENAMED.to_owned()).chain(held_reasons(&set)).collect();
        let verdict = self.shrink(Some(entry), set.roles, reasons).await?;
        Ok(Verdict { attention: Some(RENAMED), ..verdict })
    }

    /// The account the user had went to the next bearer of its old name. Whether it gets another is for the tenant's
    /// policy or an operator to say.
    async fn without_its_account(
        &self,
        ledger: Option<Entry>,
        person: &Person,
        set: &Effective,
    ) -> Result<Verdict, Failure> {
        if self.identity.policies(&self.tenant.id).await?.rename == Rename::Replace {
            self.store.replace(&self.tenant.id, self.job.user).await?;
            return self.provision(ledger, person, set).await;
        }
        let reasons = std::iter::once(RENAMED.to_owned()).chain(held_reasons(set)).collect();
        let verdict = self.shrink(ledger, set.roles.clone(), reasons).await?;
        Ok(Verdict { attention: Some(RENAMED), ..verdict })
    }

    /// Whether the account was the user's under a name that it bears no longer, and is nobody's now.
    fn is_given_up(&self, entry: &Entry) -> bool {
        entry.standing != Standing::Parked && entry.user != Some(self.job.user)
    }

    /// An account that was given up.
    async fn stays_closed(&self, entry: Entry) -> Result<Verdict, Failure> {
        let verdict = self.dismiss(Some(entry)).await?;
        Ok(Verdict { outcome: None, ..verdict })
    }

    /// The user is active, and this is its account or is to be.
    async fn provision(&self, ledger: Option<Entry>, person: &Person, set: &Effective) -> Result<Verdict, Failure> {
        if set.held {
            return self.shrink(ledger, set.roles.clone(), held_reasons(set)).await;
        }
        if person.user_name.chars().count() > MAX_USERNAME {
            let message = format!("the userName is longer than the {MAX_USERNAME} characters Fluent takes");
            return Err(FluentError::Permanent(Refusal { code: None, message }).into());
        }
        let known = profile(&person.document);
        let heir = ledger.as_ref().and_then(|entry| entry.profile_of).is_some_and(|user| user != self.job.user);
        let wanted = if heir { self.new_account(person, &set.roles).whole_profile() } else { known.clone() };
        let wanted = Wanted::Exactly { roles: set.roles.clone(), profile: wanted };
        let ours = self.ours(ledger.as_ref()).await?;
        let account = if let Some(account) = ours {
            account
        } else {
            // One that appears now is the one whose making was not answered: it was no other's a moment ago.
            let doubtful = ledger.as_ref().is_some_and(|entry| self.certain(entry).is_err());
            let found = match ledger {
                _ if doubtful => None,
                ledger => self.found(ledger.as_ref(), &person.user_name, &set.roles).await?,
            };
            let found = match found {
                Some(found) => found,
                None => self.create(person, &set.roles, doubtful).await?,
            };
            let Found::Adopted(account) = found else { return Ok(held(ACCOUNT_EXISTS)) };
            account
        };
        let mut account = self.make(account, &wanted).await?;
        if heir {
            account = self.introduce(account, &known).await?;
        }
        Ok(done(self.outcome(&account, How::Provisioned, Vec::new())))
    }

    /// The account had another user before, whose words for itself go. Those that Fluent does not let go stay.
    async fn introduce(&self, account: Account, known: &Profile) -> Result<Account, Failure> {
        let blank = |stands: &Option<String>, known: &Option<String>| {
            let left = stands.as_ref().is_some_and(|text| !text.is_empty()) && known.is_none();
            left.then(String::new)
        };
        let stands = &account.profile;
        let left = Profile {
            title: blank(&stands.title, &known.title),
            last_name: blank(&stands.last_name, &known.last_name),
            primary_phone: blank(&stands.primary_phone, &known.primary_phone),
            department: blank(&stands.department, &known.department),
            ..Profile::default()
        };
        let account = if left.is_empty() {
            account
        } else {
            match self.tenant.fluent.update(&account.id, &Update { profile: left, ..Update::default() }).await {
                Ok(account) => account,
                Err(FluentError::Permanent(refusal)) => {
                    tracing::warn!(tenant = %self.tenant.id, user = %self.job.user, code = ?refusal.code,
                        "Fluent does not let go of what an account said of the user it had before");
                    account
                }
                Err(error) => return Err(error.into()),
            }
        };
        self.still(self.store.introduced(&self.tenant.id, self.job).await?)?;
        Ok(account)
    }

    /// The user is held: the account loses what the matched labels do not give, and gains nothing. None is made.
    async fn shrink(&self, ledger: Option<Entry>, roles: Roles, reasons: Vec<String>) -> Result<Verdict, Failure> {
        let Some(account) = self.ours(ledger.as_ref()).await? else {
            ledger.as_ref().map_or(Ok(()), |entry| self.certain(entry))?;
            return Ok(done(Outcome::without_account(How::Held, reasons)));
        };
        let account = self.make(account, &Wanted::AtMost(roles)).await?;
        Ok(done(self.outcome(&account, How::Held, reasons)))
    }

    /// The account as Fluent has it, if the ledger says it is ours and it is there.
    async fn ours(&self, ledger: Option<&Entry>) -> Result<Option<Account>, Failure> {
        match ledger {
            Some(Entry { standing: Standing::Ours { fluent_id }, user_name, .. }) => {
                let Some(account) = self.tenant.fluent.account_by_id(fluent_id).await? else { return Ok(None) };
                self.known(account, user_name).await.map(Some)
            }
            // The answer to its making was lost: no other stood there before.
            Some(Entry { standing: Standing::Creating, user_name, .. }) => {
                let found = self.exactly(user_name).await?;
                if let Some(account) = &found {
                    self.take(account).await?;
                }
                Ok(found)
            }
            Some(Entry { standing: Standing::Parked, .. }) | None => Ok(None),
        }
    }

    /// An account that stands there under the name, without being ours: adopted or parked.
    async fn found(&self, ledger: Option<&Entry>, name: &str, keeps: &Roles) -> Result<Option<Found>, Failure> {
        let Some(account) = self.tenant.fluent.account(name).await? else { return Ok(None) };
        let approved = ledger.is_some_and(|entry| entry.decided(Decision::Adopt, name));
        let policy = self.identity.policies(&self.tenant.id).await?.adoption;
        let open = policy == Adoption::Adopt && !is_privileged(&account);
        if account.username == name && (approved || open) {
            let lost = account.roles.minus(keeps);
            let lost = (!lost.is_empty()).then(|| serde_json::to_string(&lost).ok()).flatten();
            self.record(&account.username, Standing::Ours { fluent_id: account.id.clone() }, lost).await?;
            return Ok(Some(Found::Adopted(account)));
        }
        self.record(&account.username, Standing::Parked, None).await?;
        Ok(Some(Found::Parked))
    }

    /// Makes the account. That it is being made is written down first, so that a lost answer can be told from an account
    /// that stood there before. `doubtful`: that was so before, and the account may appear at any time.
    async fn create(&self, person: &Person, roles: &Roles, doubtful: bool) -> Result<Found, Failure> {
        self.record(&person.user_name, Standing::Creating, None).await?;
        let error = match self.tenant.fluent.create(&self.new_account(person, roles)).await {
            Ok(account) => {
                self.take(&account).await?;
                return Ok(Found::Adopted(account));
            }
            Err(error) => error,
        };
        match &error {
            // Not carried out: what appears under the name is not what we asked for.
            FluentError::Retry { .. } if !doubtful => {
                self.forget().await?;
                return Err(error.into());
            }
            // Not made. If an account stands there all the same, somebody else made it meanwhile.
            FluentError::Permanent(_) if !doubtful => {
                self.forget().await?;
                return self.found(None, &person.user_name, roles).await?.ok_or(error.into());
            }
            FluentError::Retry { .. } | FluentError::Permanent(_) | FluentError::Unknown { .. } => {}
        }
        match self.exactly(&person.user_name).await {
            Ok(Some(account)) => {
                self.take(&account).await?;
                Ok(Found::Adopted(account))
            }
            // It may still come: the ledger remembers.
            Ok(None) | Err(_) => Err(error.into()),
        }
    }

    /// Whether an account that is not there will not appear any more.
    fn certain(&self, entry: &Entry) -> Result<(), Failure> {
        let until = entry.since.plus(DOUBT);
        if entry.standing == Standing::Creating && self.clock.now() < until {
            return Err(Failure::Doubtful { until });
        }
        Ok(())
    }

    fn new_account(&self, person: &Person, roles: &Roles) -> NewAccount {
        let Person { user_name, document } = person;
        let known = profile(document);
        // So large a set of roles that it does not fit in one request is given by the plan, in parts.
        let all =
            plan(&nobody(), &Wanted::Exactly { roles: roles.clone(), profile: Profile::default() }, Limits::default());
        let first = if all.len() > 1 { Roles::default() } else { roles.clone() };
        NewAccount {
            username: user_name.clone(),
            reference: if user_name.chars().count() > MAX_REF { self.job.user.to_string() } else { user_name.clone() },
            password: password(),
            kind: self.tenant.user_types.of(roles).to_owned(),
            primary_email: known.primary_email.clone().unwrap_or_else(|| user_name.clone()),
            timezone: known.timezone.clone().unwrap_or_else(|| self.tenant.timezone.clone()),
            first_name: known.first_name.clone().unwrap_or_else(|| some_first_name(document, user_name)),
            profile: known,
            roles: first,
        }
    }

    /// Sends the difference, and sees that it was taken. What is refused keeps nothing else from being taken away; but
    /// what is to come does not come before what had to go.
    async fn make(&self, account: Account, wanted: &Wanted) -> Result<Account, Failure> {
        let mutations = plan(&account, wanted, Limits::default());
        if mutations.is_empty() {
            return Ok(account);
        }
        let id = account.id;
        let (mut answered, mut refused, mut kept) = (None, None, None);
        for mutation in &mutations {
            self.in_time()?;
            let sent = match mutation {
                Mutation::Update(_) if refused.is_some() || kept.is_some() => continue,
                Mutation::Update(update) => self.tenant.fluent.update(&id, update).await.map(Some),
                Mutation::Remove(roles) => self.tenant.fluent.remove(&id, roles).await.map(|()| None),
            };
            match sent {
                Ok(account) => answered = account,
                Err(FluentError::Permanent(refusal)) if matches!(mutation, Mutation::Remove(_)) => {
                    kept = kept.or(Some(refusal));
                }
                Err(refusal @ FluentError::Permanent(_)) => refused = refused.or(Some(refusal)),
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(refusal) = kept {
            return Err(Failure::Kept(refusal));
        }
        if let Some(refusal) = refused {
            return Err(refusal.into());
        }
        let now = match answered {
            Some(account) => Some(account),
            None => self.tenant.fluent.account_by_id(&id).await?,
        };
        // A profile that Fluent keeps in a form of its own is no reason to send it for ever: access is what is compared.
        let access = match wanted {
            Wanted::Exactly { roles, .. } => Wanted::Exactly { roles: roles.clone(), profile: Profile::default() },
            other => other.clone(),
        };
        now.filter(|account| plan(account, &access, Limits::default()).is_empty())
            .ok_or(Failure::Fluent(FluentError::Retry { after: None, cause: Cause::NotTaken }))
    }

    async fn exactly(&self, name: &str) -> Result<Option<Account>, FluentError> {
        Ok(self.tenant.fluent.account(name).await?.filter(|account| account.username == name))
    }

    /// We made the account: it is ours, and the user's who bears its name by now. If that is another, the rest is not for
    /// this job to do.
    async fn take(&self, account: &Account) -> Result<(), Failure> {
        let Account { id, username, .. } = account;
        self.still(self.store.made(&self.tenant.id, &self.tenant.place, self.job, username, id).await?)
    }

    async fn record(&self, user_name: &str, standing: Standing, lost: Option<String>) -> Result<(), Failure> {
        let Tenant { id, place, .. } = self.tenant;
        self.still(self.store.record(id, place, self.job, user_name, standing, lost).await?)
    }

    async fn forget(&self) -> Result<(), Failure> {
        self.still(self.store.forget(&self.tenant.id, self.job).await?)
    }

    /// The ledger is written under the lease alone: whoever lost it sends nothing more.
    fn still(&self, held: bool) -> Result<(), Failure> {
        if held { self.in_time() } else { Err(Failure::LeaseLost) }
    }

    /// Past the lease nothing is sent: another may be at it.
    fn in_time(&self) -> Result<(), Failure> {
        if self.clock.now() < self.job.lease.until { Ok(()) } else { Err(Failure::LeaseLost) }
    }

    fn outcome(&self, account: &Account, standing: How, reasons: Vec<String>) -> Outcome {
        Outcome::of(account, standing, reasons, self.clock.now())
    }
}

fn done(outcome: Outcome) -> Verdict {
    Verdict { outcome: Some(outcome), attention: None, alert: false, released_to: None }
}

/// Nothing may be sent until a person has decided.
fn held(reason: &'static str) -> Verdict {
    let outcome = Outcome::without_account(How::Held, vec![reason.to_owned()]);
    Verdict { attention: Some(reason), ..done(outcome) }
}

/// Accounts that an operator must hand over: those with power over the whole account, and machines'.
fn is_privileged(account: &Account) -> bool {
    let on_account = |(_, context): (&str, &Context)| context.kind.eq_ignore_ascii_case("ACCOUNT");
    account.kind.eq_ignore_ascii_case("API") || account.roles.pairs().any(on_account)
}

fn nobody() -> Account {
    Account {
        id: String::new(),
        username: String::new(),
        kind: String::new(),
        status: crate::account::Status::Active,
        profile: Profile::default(),
        roles: Roles::default(),
    }
}

/// A password nobody will ever know: people sign in through their own identity provider. The fixed ending satisfies
/// whatever kinds of character Fluent may ask for.
fn password() -> SecretString {
    let random: String = rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect();
    SecretString::from(random + "aA1!")
}
