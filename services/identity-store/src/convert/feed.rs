//! Heads and entries of the feed.

use proto::identity::v1 as pb;

use super::member;
use crate::model::{Change, Entry, FeedPage, Head, Heads, Read, UserState};

pub(crate) fn heads(heads: Heads) -> pb::WatchHeadsResponse {
    let Heads { epoch, heads, complete } = heads;
    pb::WatchHeadsResponse {
        epoch: epoch.as_bytes().to_vec().into(),
        heads: heads
            .into_iter()
            .map(|(tenant, Head { revision, taken_away, catalogue_wanted, catalogue_served })| pb::Head {
                tenant: tenant.to_string(),
                revision: revision.0,
                catalogue_wanted,
                catalogue_served,
                taken_away: taken_away.0,
            })
            .collect(),
        complete,
    }
}

pub(crate) fn page(read: Read<FeedPage>) -> pb::ReadFeedResponse {
    let Read { value: FeedPage { entries, through }, position } = read;
    let entries = entries.into_iter().map(entry).collect();
    pb::ReadFeedResponse { entries, head: Some(super::position(position)), through: through.0 }
}

fn entry(entry: Entry) -> pb::FeedEntry {
    let Entry { revision, at, takes_away, change: changed, unnamed } = entry;
    pb::FeedEntry { revision: revision.0, at_us: at.0, takes_away, change: Some(change(changed, unnamed)) }
}

fn change(change: Change, unnamed: bool) -> pb::feed_entry::Change {
    use pb::feed_entry::Change as To;
    match change {
        Change::User { user, access_changed } => {
            let UserState { id, user_name, exists, active } = user;
            To::UserChanged(pb::UserChanged { user_id: id.to_string(), user_name, exists, active, access_changed })
        }
        Change::Members { group, added, removed } => To::MembersChanged(pb::MembersChanged {
            group_id: group.to_string(),
            added: added.iter().map(member).collect(),
            removed: removed.iter().map(member).collect(),
            unnamed,
        }),
        Change::Group { group, exists } => To::GroupChanged(pb::GroupChanged { group_id: group.to_string(), exists }),
        Change::Rules(_) => To::RulesChanged(pb::RulesChanged {}),
        Change::Catalogue(_) => To::CatalogueChanged(pb::CatalogueChanged {}),
        Change::Settings(_) => To::SettingsChanged(pb::SettingsChanged {}),
    }
}

pub(crate) fn user_state(state: UserState) -> pb::UserState {
    let UserState { id, user_name, exists, active } = state;
    pb::UserState { user_id: id.to_string(), user_name, exists, active }
}
