//! The ground that labels are matched against: the catalogue's newest copy, the rules, the settings. How it is read, and
//! the one way in which it changes.

use std::collections::BTreeSet;

use domain::catalogue::Catalogue;
use domain::id::TenantId;
use domain::revision::Revision;
use domain::rules::Rules;
use domain::settings::{DisplayNames, RulesFrom, Settings};
use sql::{Statement, Tx, params};

use super::audit::Record;
use super::catalogue::Document;
use super::commit::Scope;
use super::{Store, feed, rules, standing, tenants};
use crate::failure::Failure;
use crate::model::{Actor, Change, FluentRules, Ground, GroundContent, Read, Touched};

/// More changed names than this are not listed: everyone is affected.
const LISTED: usize = 500;

impl Store {
    /// The tenant's ground; only its version if the caller holds that version already.
    pub async fn get_ground(&self, tenant: &TenantId, known: Revision) -> Result<Read<Ground>, Failure> {
        let tenant = tenant.clone();
        self.database
            .read(move |tx| {
                Box::pin(async move {
                    let stands = standing(tx, &tenant).await?;
                    let version = stands.ground_version;
                    let held = known == version && known != Revision(0);
                    let content = if held { None } else { Some(Inputs::read(tx, &tenant).await?.content()) };
                    Ok(Read { value: Ground { version, content }, position: stands.position })
                })
            })
            .await
    }
}

/// Everything the ground is made from, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    /// The catalogue, after the first complete read.
    pub(super) catalogue: Option<Document>,
    /// The last good rules of Fluent's setting.
    pub(super) fluent: Option<FluentRules>,
    /// The tenant's own rules.
    pub(super) own: Option<Rules>,
    /// What the tenant chose.
    pub(super) settings: Settings,
}

impl Inputs {
    pub(super) async fn read(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Self, Failure> {
        const KEPT: &str = "SELECT t.settings, c.document FROM tenants t \
             LEFT JOIN catalogues c ON c.tenant = t.id WHERE t.id = $1";
        let row = tx.row(KEPT, params![tenant.as_str()]).await?.ok_or(Failure::TenantNotFound)?;
        let (own, fluent) = rules::kept(tx, tenant).await?;
        Ok(Self {
            catalogue: row.maybe_text(1)?.map(Document::from_db).transpose()?,
            fluent,
            own,
            settings: tenants::from_db(row.text(0)?)?,
        })
    }

    /// Which rule set is in force, if there is one, and its rules.
    pub(super) fn in_force(&self) -> Option<(RulesFrom, &Rules)> {
        let own = self.own.as_ref().map(|rules| (RulesFrom::Own, rules));
        let fluent = self.fluent.as_ref().map(|fluent| (RulesFrom::Fluent, &fluent.rules));
        match self.settings.rules_from {
            RulesFrom::Own => own.or(fluent),
            RulesFrom::Fluent => fluent.or(own),
        }
    }

    pub(super) fn rules(&self) -> Rules {
        self.in_force().map(|(_, rules)| rules.clone()).unwrap_or_default()
    }

    pub(super) fn catalogue(&self) -> Option<Catalogue> {
        self.catalogue.as_ref().map(|document| document.catalogue(&self.settings.account_name))
    }

    pub(super) fn content(self) -> GroundContent {
        GroundContent {
            catalogue: self.catalogue(),
            rules: self.rules(),
            rules_setting_id: self.fluent.map(|fluent| fluent.setting_id),
            settings: self.settings,
        }
    }

    /// Whether every label has the same meaning under `new`.
    pub(super) fn means_the_same_as(&self, new: &Self) -> bool {
        self.settings.display_names == new.settings.display_names
            && self.catalogue() == new.catalogue()
            && self.rules() == new.rules()
    }

    /// What labels may name that means something else under `new`, and so whom the change concerns.
    pub(super) fn touched(&self, new: &Self) -> Touched {
        let mut names = Names::default();
        match (&self.catalogue, &new.catalogue) {
            (Some(old), Some(new)) => old.differing(new, &mut names),
            (None, None) => {}
            _ => return Touched::Everything,
        }
        let (old_rules, new_rules) = (self.rules(), new.rules());
        let mut logical: BTreeSet<String> = old_rules.differing(&new_rules).map(ToString::to_string).collect();
        for (name, targets) in new_rules.iter() {
            if targets.iter().any(|target| names.roles.contains(&**target)) {
                logical.insert(name.to_string());
            }
        }
        names.roles.extend(logical);
        if names.settings(&self.settings, &new.settings) {
            return Touched::Everything;
        }
        names.touched()
    }
}

/// Names that labels may hold.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) roles: BTreeSet<String>,
    pub(super) retailers: BTreeSet<String>,
    pub(super) locations: BTreeSet<String>,
    pub(super) accounts: BTreeSet<String>,
}

impl Names {
    /// Adds what differs between two tenants' choices; says whether everyone is to be looked at again.
    fn settings(&mut self, old: &Settings, new: &Settings) -> bool {
        let Settings {
            account_name,
            rename,
            adoption,
            display_names,
            // How requests are judged, or which rules are in force: the rules themselves have been compared.
            guardrail: _,
            without_labels: _,
            put_omitted: _,
            roles_patch: _,
            protocol: _,
            role_locations: _,
            environment: _,
            rules_from: _,
            change_limit: _,
            mass_departures: _,
        } = old;
        if *account_name != new.account_name {
            self.accounts.extend([account_name, &new.account_name].map(Clone::clone));
        }
        (*rename, *adoption, *display_names) != (new.rename, new.adoption, new.display_names)
    }

    fn touched(self) -> Touched {
        let Self { roles, retailers, locations, accounts } = self;
        if roles.len() + retailers.len() + locations.len() > LISTED {
            return Touched::Everything;
        }
        let list = |names: BTreeSet<String>| names.into_iter().collect();
        Touched::Names {
            roles: list(roles),
            retailers: list(retailers),
            locations: list(locations),
            accounts: list(accounts),
        }
    }
}

/// Turns the ground `old`, which is kept, into `new` under the scope's revision; says whether they differ.
pub(super) async fn change(
    scope: &mut Scope<'_, '_>,
    old: &Inputs,
    new: &Inputs,
    operation: &'static str,
) -> Result<bool, Failure> {
    const CATALOGUE: &str = "INSERT INTO catalogues (tenant, document) VALUES ($1, $2) \
         ON CONFLICT (tenant) DO UPDATE SET document = excluded.document";
    const SETTINGS: &str = "UPDATE tenants SET settings = $2 WHERE id = $1";
    if old == new {
        return Ok(false);
    }
    let tenant = scope.tenant;
    let mut statements = Vec::new();
    let mut touched = Some(old.touched(new));
    // Whom the change concerns is said once, in the first of its entries.
    let mut touched = move || touched.take().unwrap_or_else(Touched::nobody);
    let mut changes = Vec::new();
    if let (false, Some(document)) = (old.catalogue == new.catalogue, &new.catalogue) {
        statements.push(Statement::new(CATALOGUE, params![tenant.as_str(), document.to_db()]));
        // What is new can take away too: it may give a label a second meaning.
        changes.push((old.catalogue.is_some(), Change::Catalogue(touched())));
    }
    if (&old.own, &old.fluent) != (&new.own, &new.fluent) {
        statements.extend(rules::replace(scope, old, new));
        changes.push((old.rules() != new.rules(), Change::Rules(touched())));
    }
    if old.settings != new.settings {
        let (was, is) = (&old.settings, &new.settings);
        // A label may name the account by the name it had, and a group's name may no longer be a label.
        let names_end = was.display_names == DisplayNames::Labels && is.display_names == DisplayNames::Names;
        let takes_away = names_end || was.account_name != is.account_name || old.rules() != new.rules();
        statements.push(Statement::new(SETTINGS, params![tenant.as_str(), tenants::to_db(&new.settings)]));
        changes.push((takes_away, Change::Settings(touched())));
    }
    for (part, (takes_away, change)) in (0..).zip(changes) {
        statements.push(feed::write(scope, part, takes_away, &change));
    }
    let record = Record {
        tenant,
        at: scope.now,
        revision: Some(scope.revision),
        actor: &Actor::default(),
        operation,
        object: tenant.to_string(),
    };
    statements.push(record.write([]));
    scope.tx.batch(statements).await?;
    scope.counts.ground = true;
    Ok(true)
}
