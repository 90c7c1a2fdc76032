//! The tenant's own table of group labels.

use domain::label::Label;
use proto::admin::v1 as admin;
use proto::admin::v1::group_key::Key;

use crate::failure::Failure;
use crate::model::{GroupKey, GroupLabels};

/// A key, if one is given.
pub(crate) fn group_key(key: Option<admin::GroupKey>) -> Result<Option<GroupKey>, Failure> {
    let Some(admin::GroupKey { key: Some(key) }) = key else { return Ok(None) };
    Ok(Some(match key {
        Key::ExternalId(id) => GroupKey::ExternalId(id),
        Key::Id(id) => {
            let invalid = |_| Failure::Invalid { field: "key.id", expected: "it must be a group's id".into() };
            GroupKey::Id(id.parse().map_err(invalid)?)
        }
        Key::DisplayName(name) => GroupKey::DisplayName(name),
    }))
}

/// The parts of the request: tenant, entry.
pub(crate) fn read_group_labels(request: admin::PutGroupLabelsRequest) -> Result<(String, GroupLabels), Failure> {
    let admin::PutGroupLabelsRequest { tenant, key, labels } = request;
    let missing = || Failure::Invalid { field: "key", expected: "it must be given".into() };
    let key = group_key(key)?.ok_or_else(missing)?;
    Ok((tenant, GroupLabels { key, labels: labels.iter().map(|label| Label::new(label)).collect() }))
}

pub(crate) fn group_labels(entry: GroupLabels) -> admin::GroupLabels {
    let GroupLabels { key, labels } = entry;
    let key = match key {
        GroupKey::ExternalId(id) => Key::ExternalId(id),
        GroupKey::Id(id) => Key::Id(id.to_string()),
        GroupKey::DisplayName(name) => Key::DisplayName(name),
    };
    let labels = labels.iter().map(|label| label.as_str().to_owned()).collect();
    admin::GroupLabels { key: Some(admin::GroupKey { key: Some(key) }), labels }
}
