//! The tenant's own table of group labels, from a shell.

use anyhow::Result;
use proto::admin::v1 as pb;
use proto::admin::v1::group_key::Key;

use super::{Admin, said};
use crate::cli::{GroupKeyArgs, GroupLabelsAction};

pub(super) async fn run(action: GroupLabelsAction, mut admin: Admin) -> Result<()> {
    let (tenant, key, labels) = match action {
        GroupLabelsAction::Set { name, key, labels } => (name, key, labels),
        GroupLabelsAction::Remove { name, key } => (name, key, Vec::new()),
        GroupLabelsAction::List { name } => return list(name, admin).await,
    };
    let request = pb::PutGroupLabelsRequest { tenant, key: Some(group_key(key)), labels };
    let answer = admin.put_group_labels(request).await.map_err(said)?.into_inner();
    println!("groups with other labels now: {}", answer.groups_changed);
    Ok(())
}

async fn list(tenant: String, mut admin: Admin) -> Result<()> {
    let mut after = None;
    loop {
        let request = pb::ListGroupLabelsRequest { tenant: tenant.clone(), after };
        let entries = admin.list_group_labels(request).await.map_err(said)?.into_inner().entries;
        let Some(last) = entries.last().map(|entry| entry.key.clone()) else { return Ok(()) };
        after = last;
        for pb::GroupLabels { key, labels } in entries {
            let (kind, key) = match key.and_then(|key| key.key) {
                Some(Key::ExternalId(id)) => ("externalId", id),
                Some(Key::Id(id)) => ("id", id),
                Some(Key::DisplayName(name)) => ("displayName", name),
                None => ("-", String::new()),
            };
            println!("{kind:<12} {key:<40} {}", labels.join(" "));
        }
    }
}

/// The arguments name exactly one.
fn group_key(key: GroupKeyArgs) -> pb::GroupKey {
    let GroupKeyArgs { external_id, id, display_name } = key;
    let key = external_id.map(Key::ExternalId).or_else(|| id.map(Key::Id));
    pb::GroupKey { key: key.or_else(|| display_name.map(Key::DisplayName)) }
}
