//! The resources a filter names, so that who keeps an index need not look at all of them. Whoever must know how dear a
//! filter is asks here: one that is told to wait and one that reads then never differ.

use domain::fold::fold;
use domain::id::UserId;

use super::{Condition, Order, Query, TextTest};
use crate::schema::{DRAFT_ROLE_URN, GROUPS, ROLES, ResourceType, Target, USERS};

/// Among how many resources those are that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The filter names them, and as a rule they are few: about one for each comparison. But an address may be shared by
    /// very many, so who reads them is told by what comes.
    Few,
    /// The filter names them, and they may be many: the members of a group, say.
    Many,
    /// Each may match.
    All,
}

impl Reach {
    /// Among how many of `kind` those are that match.
    #[must_use]
    pub fn of(query: &Query, kind: &ResourceType) -> Self {
        Named::of(query, kind).map_or(Self::All, |named| named.reach())
    }
}

/// Resources with one of these ids, names, external ids, addresses, labels, groups or members: all that match are among
/// them. Nothing in any of the lists means that nothing can match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Their ids; those of users and groups alike.
    pub ids: Vec<UserId>,
    /// A user's `userName` or a group's `displayName`, folded; what a role is, as it stands.
    pub names: Vec<String>,
    /// What folded names begin with.
    pub prefixes: Vec<String>,
    /// Their external ids.
    pub external_ids: Vec<String>,
    /// Addresses of users, folded.
    pub emails: Vec<String>,
    /// Labels of users.
    pub labels: Vec<String>,
    /// Groups that users are in, directly or through others.
    pub groups: Vec<UserId>,
    /// Members of groups.
    pub members: Vec<UserId>,
}

/// The most ranges of names in one filter: each makes a statement longer.
const MOST_RANGES: usize = 4;

impl Named {
    /// The resources among which all that match are, if the filter names any.
    #[must_use]
    pub fn of(query: &Query, kind: &ResourceType) -> Option<Self> {
        match query {
            // All must hold, so those of one term will do: the one with the fewest.
            Query::And(terms) => terms.iter().filter_map(|term| Self::of(term, kind)).min_by_key(Self::weight),
            Query::Or(terms) => terms.iter().map(|term| Self::of(term, kind)).try_fold(Self::default(), Self::or),
            // One element that meets all of it meets each part of it.
            Query::Element(_, inner) => Self::of(inner, kind),
            Query::Compare(target, Condition::Text(TextTest::Order(Order::Eq), text)) => {
                Self::exactly(target, kind, &text.text, text.folded)
            }
            Query::Compare(target, Condition::Text(TextTest::StartsWith, text))
                if text.folded && !text.text.is_empty() && !text.text.contains('\0') && is_name(target, kind) =>
            {
                Some(Self { prefixes: vec![text.text.clone()], ..Self::default() })
            }
            Query::Compare(..) | Query::Not(_) | Query::Present(_) => None,
        }
    }

    fn exactly(target: &Target, kind: &ResourceType, text: &str, folded: bool) -> Option<Self> {
        let mut only = Self::default();
        // No name or external id holds the character.
        let sound = |text: String| if text.contains('\0') { None } else { Some(text) };
        let (users, groups) = (kind.name == USERS.name, kind.name == GROUPS.name);
        match target.key() {
            _ if is_name(target, kind) => only.names.extend(sound(if folded { fold(text) } else { text.to_owned() })),
            (None, "id", None) => only.ids.extend(text.parse::<UserId>().ok()),
            (None, "externalId", None) if !folded => only.external_ids.extend(sound(text.to_owned())),
            (None, "emails", Some("value")) if users => only.emails.push(fold(text)),
            (None, "roles", Some("value")) if users && !folded && !text.is_empty() => only.labels.push(text.to_owned()),
            (None, "groups", Some("value")) if users => only.groups.extend(text.parse::<UserId>().ok()),
            (None, "members", Some("value")) if groups => only.members.extend(text.parse::<UserId>().ok()),
            _ => return None,
        }
        Some(only)
    }

    /// About how many resources these are, for choosing among several.
    fn weight(&self) -> usize {
        let Self { ids, names, prefixes, external_ids, emails, labels, groups, members } = self;
        let one_each = ids.len() + names.len() + external_ids.len() + emails.len();
        one_each + 10 * members.len() + 1_000 * (labels.len() + groups.len()) + 10_000 * prefixes.len()
    }

    /// Whether these are few.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let Self { ids: _, names: _, prefixes, external_ids: _, emails: _, labels, groups, members: _ } = self;
        if prefixes.is_empty() && labels.is_empty() && groups.is_empty() { Reach::Few } else { Reach::Many }
    }

    fn or(mut self, other: Option<Self>) -> Option<Self> {
        let Self { ids, names, prefixes, external_ids, emails, labels, groups, members } = other?;
        self.ids.extend(ids);
        self.names.extend(names);
        self.prefixes.extend(prefixes);
        self.external_ids.extend(external_ids);
        self.emails.extend(emails);
        self.labels.extend(labels);
        self.groups.extend(groups);
        self.members.extend(members);
        (self.prefixes.len() <= MOST_RANGES).then_some(self)
    }
}

/// Whether it is the attribute that names a resource: a user's `userName`, a group's `displayName`, each attribute of a
/// role that holds its label.
fn is_name(target: &Target, kind: &ResourceType) -> bool {
    match target.key() {
        (None, "userName", None) => kind.name == USERS.name,
        (None, "displayName", None) => kind.name == GROUPS.name || kind.name == ROLES.name,
        (None, "id", None) | (Some(DRAFT_ROLE_URN), "value" | "display", None) => kind.name == ROLES.name,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Named, Reach};
    use crate::Mode;
    use crate::filter::Query;
    use crate::schema::{GROUPS, ROLES, ResourceType, USERS};

    fn query(filter: &str, kind: &'static ResourceType) -> Query {
        Query::parse(filter, kind, Mode::Lenient).unwrap()
    }

    #[test]
    fn what_a_filter_names_says_how_many_can_match() {
        let id = "0199a1b2-0000-7000-8000-000000000001";
        for (kind, few) in [
            (&USERS, r#"userName eq "a""#.to_owned()),
            (&USERS, format!(r#"id eq "{id}""#)),
            (&USERS, r#"externalId eq "x" or userName eq "a""#.to_owned()),
            (&USERS, r#"emails[type eq "work"].value eq "a""#.to_owned()),
            (&USERS, r#"title co "x" and userName sw "a" and userName eq "b""#.to_owned()),
            (&GROUPS, r#"displayName eq "a""#.to_owned()),
            (&GROUPS, format!(r#"members eq "{id}""#)),
            (&ROLES, r#"id eq "AGENT_1_X""#.to_owned()),
            (&ROLES, r#"value eq "AGENT_1_X" and supported eq true"#.to_owned()),
        ] {
            assert_eq!(Reach::of(&query(&few, kind), kind), Reach::Few, "{few}");
        }
        let in_group = format!(r#"groups.value eq "{id}""#);
        for many in [r#"userName sw "a""#, r#"roles.value eq "x""#, &*in_group, r#"roles eq "x""#] {
            assert_eq!(Reach::of(&query(many, &USERS), &USERS), Reach::Many, "{many}");
        }
        for all in [
            r#"displayName eq "a""#,
            r#"name.familyName eq "a""#,
            r#"userName eq "a" or title eq "b""#,
            r#"not (userName eq "a")"#,
            "active eq true",
            "userName pr",
        ] {
            assert_eq!(Reach::of(&query(all, &USERS), &USERS), Reach::All, "{all}");
        }
        assert_eq!(Reach::of(&query(r#"value sw "AGENT_""#, &ROLES), &ROLES), Reach::All);
    }

    #[test]
    fn names_are_folded_and_what_can_be_no_id_names_nobody() {
        let named = |filter| Named::of(&query(filter, &USERS), &USERS).unwrap();
        assert_eq!(named(r#"userName eq "ÜNÏ""#).names, ["ünï"]);
        assert_eq!(named(r#"externalId eq "X""#).external_ids, ["X"]);
        assert_eq!(named(r#"id eq "nobody""#), Named::default());
        let many = [r#"userName sw "a""#; 5].join(" or ");
        assert_eq!(Named::of(&query(&many, &USERS), &USERS), None, "too many ranges");
    }
}
