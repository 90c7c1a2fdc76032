//! Tenants and their settings.

use domain::id::TenantId;
use domain::settings::{
    Adoption, ChangeLimit, DisplayNames, Environment, Guardrail, MassDepartures, Protocol, PutOmitted, Rename,
    RoleLocations, RolesPatch, RulesFrom, Settings, WithoutLabels,
};
use serde_json::{Value, json};
use sql::{Tx, params};

use super::Store;
use super::audit::Record;
use super::pending::Edit;
use crate::failure::Failure;
use crate::model::{Actor, Head, Written};

impl Store {
    /// Makes a tenant.
    pub async fn create_tenant(&self, tenant: &TenantId, settings: Settings) -> Result<(), Failure> {
        const INSERT: &str = "INSERT INTO tenants (id, revision, ground_version, feed_floor, user_count, group_count, \
             settings, catalogue_wanted, catalogue_served, catalogue_fence) \
             VALUES ($1, 0, 0, 0, 0, 0, $2, 0, 0, 0) ON CONFLICT DO NOTHING";
        let (name, now) = (tenant.clone(), self.clock.now());
        check(&settings)?;
        self.database
            .write(move |tx| {
                Box::pin(async move {
                    if tx.execute(INSERT, params![name.as_str(), to_db(&settings)]).await? == 0 {
                        return Err(Failure::TenantExists);
                    }
                    let record = Record {
                        tenant: &name,
                        at: now,
                        revision: None,
                        actor: &Actor::default(),
                        operation: "tenant.create",
                        object: name.to_string(),
                    };
                    tx.batch(vec![record.write([])]).await?;
                    Ok(())
                })
            })
            .await?;
        self.alarms.know(tenant, 0);
        self.board.announce(tenant, Head::default());
        Ok(())
    }

    /// The names of all tenants, in order.
    pub async fn list_tenants(&self) -> Result<Vec<TenantId>, Failure> {
        self.database
            .read(|tx| {
                Box::pin(async move {
                    let rows = tx.rows("SELECT id FROM tenants ORDER BY id", vec![]).await?;
                    rows.iter().map(|row| Ok(row.text(0)?.parse()?)).collect()
                })
            })
            .await
    }

    /// A tenant's settings.
    pub async fn get_settings(&self, tenant: &TenantId) -> Result<Settings, Failure> {
        let tenant = tenant.clone();
        self.database.read(move |tx| Box::pin(async move { settings(tx, &tenant).await })).await
    }

    /// Replaces a tenant's settings. Answers whether the change waits for an operator.
    pub async fn put_settings(&self, tenant: &TenantId, settings: Settings) -> Result<Written<bool>, Failure> {
        check(&settings)?;
        let Written { value, position, changed } = self.propose(tenant, Edit::Settings(settings), None).await?;
        Ok(Written { value: value.waits, position, changed })
    }
}

/// A tenant's settings in the snapshot being read.
pub(super) async fn settings(tx: &mut Tx<'_>, tenant: &TenantId) -> Result<Settings, Failure> {
    let row = tx.row("SELECT settings FROM tenants WHERE id = $1", params![tenant.as_str()]).await?;
    from_db(row.ok_or(Failure::TenantNotFound)?.text(0)?)
}

fn check(settings: &Settings) -> Result<(), Failure> {
    let name = &settings.account_name;
    if name.chars().count() > 100 || name.chars().any(char::is_control) {
        let expected = "it must be at most 100 characters, none of them a control character".into();
        return Err(Failure::Invalid { field: "settings.account_name", expected });
    }
    Ok(())
}

pub(super) fn to_db(settings: &Settings) -> String {
    let Settings {
        account_name,
        guardrail,
        without_labels,
        rename,
        adoption,
        put_omitted,
        roles_patch,
        display_names,
        protocol,
        role_locations,
        environment,
        rules_from,
        change_limit,
        mass_departures,
    } = settings;
    json!({
        "account_name": account_name,
        "guardrail": match guardrail {
            Guardrail::Reject => "reject",
            Guardrail::Hold => "hold",
        },
        "without_labels": match without_labels {
            WithoutLabels::Hold => "hold",
            WithoutLabels::Reject => "reject",
        },
        "rename": match rename {
            Rename::Hold => "hold",
            Rename::Replace => "replace",
            Rename::Refuse => "refuse",
        },
        "adoption": match adoption {
            Adoption::Adopt => "adopt",
            Adoption::ParkAll => "park_all",
        },
        "put_omitted": match put_omitted {
            PutOmitted::Clear => "clear",
            PutOmitted::Keep => "keep",
        },
        "roles_patch": match roles_patch {
            RolesPatch::AsSent => "as_sent",
            RolesPatch::Overwrite => "overwrite",
        },
        "display_names": match display_names {
            DisplayNames::Names => "names",
            DisplayNames::Labels => "labels",
        },
        "protocol": match protocol {
            Protocol::Lenient => "lenient",
            Protocol::Strict => "strict",
        },
        "role_locations": match role_locations {
            RoleLocations::OnFilter => "on_filter",
            RoleLocations::Listed => "listed",
        },
        "environment": match environment {
            Environment::Production => "production",
            Environment::Development => "development",
        },
        "rules_from": match rules_from {
            RulesFrom::Own => "own",
            RulesFrom::Fluent => "fluent",
        },
        "change_limit": change_limit.percent(),
        "mass_departures": match mass_departures {
            MassDepartures::Alert => "alert",
            MassDepartures::Hold => "hold",
        },
    })
    .to_string()
}

/// A choice that is missing is the default: it was added later.
pub(super) fn from_db(text: &str) -> Result<Settings, Failure> {
    let stored: Value = serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "a tenant's settings can't be read");
        Failure::Internal
    })?;
    let limit = stored.get("change_limit").and_then(Value::as_u64).and_then(|percent| u32::try_from(percent).ok());
    let limit = limit.and_then(ChangeLimit::new);
    let choice = |name: &str| stored.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(Settings {
        account_name: choice("account_name").to_owned(),
        guardrail: match choice("guardrail") {
            "hold" => Guardrail::Hold,
            _ => Guardrail::Reject,
        },
        without_labels: match choice("without_labels") {
            "reject" => WithoutLabels::Reject,
            _ => WithoutLabels::Hold,
        },
        rename: match choice("rename") {
            "replace" => Rename::Replace,
            "refuse" => Rename::Refuse,
            _ => Rename::Hold,
        },
        adoption: match choice("adoption") {
            "park_all" => Adoption::ParkAll,
            _ => Adoption::Adopt,
        },
        put_omitted: match choice("put_omitted") {
            "keep" => PutOmitted::Keep,
            _ => PutOmitted::Clear,
        },
        roles_patch: match choice("roles_patch") {
            "overwrite" => RolesPatch::Overwrite,
            _ => RolesPatch::AsSent,
        },
        display_names: match choice("display_names") {
            "labels" => DisplayNames::Labels,
            _ => DisplayNames::Names,
        },
        protocol: match choice("protocol") {
            "strict" => Protocol::Strict,
            _ => Protocol::Lenient,
        },
        role_locations: match choice("role_locations") {
            "listed" => RoleLocations::Listed,
            _ => RoleLocations::OnFilter,
        },
        environment: match choice("environment") {
            "development" => Environment::Development,
            _ => Environment::Production,
        },
        rules_from: match choice("rules_from") {
            "fluent" => RulesFrom::Fluent,
            _ => RulesFrom::Own,
        },
        change_limit: limit.unwrap_or_default(),
        mass_departures: match choice("mass_departures") {
            "hold" => MassDepartures::Hold,
            _ => MassDepartures::Alert,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::{from_db, to_db};
    use domain::settings::{
        Adoption, ChangeLimit, DisplayNames, Environment, Guardrail, MassDepartures, Protocol, PutOmitted, Rename,
        RoleLocations, RolesPatch, RulesFrom, Settings, WithoutLabels,
    };

    #[test]
    fn settings_are_read_as_they_were_written() {
        let unusual = Settings {
            account_name: "ACME \"x\"".into(),
            guardrail: Guardrail::Hold,
            without_labels: WithoutLabels::Reject,
            rename: Rename::Refuse,
            adoption: Adoption::ParkAll,
            put_omitted: PutOmitted::Keep,
            roles_patch: RolesPatch::Overwrite,
            display_names: DisplayNames::Labels,
            protocol: Protocol::Strict,
            role_locations: RoleLocations::Listed,
            environment: Environment::Development,
            rules_from: RulesFrom::Fluent,
            change_limit: ChangeLimit::new(30).unwrap(),
            mass_departures: MassDepartures::Hold,
        };
        let replace = Settings { rename: Rename::Replace, ..Settings::default() };
        for settings in [unusual, replace, Settings::default()] {
            assert_eq!(from_db(&to_db(&settings)), Ok(settings));
        }
        assert_eq!(from_db("{}"), Ok(Settings::default()));
    }
}
