//! The labels of one who was deleted and is held back, as they are noted: each with whether the user had it itself, and
//! the groups it came through. Memberships end with the user and stay as they were noted; a group can lose the label yet.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::str::FromStr as _;

use domain::grant::ContextType;
use domain::id::GroupId;
use domain::label::Label;
use domain::settings::DisplayNames;

use crate::failure::Failure;
use crate::model::{HeldThrough, Touched};

/// A label that is noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    label: Label,
    direct: bool,
    groups: BTreeSet<GroupId>,
}

/// What a user's labels are noted as: those that are just the names of groups only where `names` count.
pub(super) fn of(labels: BTreeMap<Label, HeldThrough>, names: DisplayNames) -> Vec<Noted> {
    let noted = |(label, through)| {
        let HeldThrough { direct, groups, named_by } = through;
        let mut groups = BTreeSet::from_iter(groups);
        if names == DisplayNames::Labels {
            groups.extend(named_by);
        }
        (direct || !groups.is_empty()).then_some(Noted { label, direct, groups })
    };
    labels.into_iter().filter_map(noted).collect()
}

/// As the database keeps it: label, whether direct, ids of groups.
type Kept = (String, bool, Vec<String>);

pub(super) fn to_db(noted: &[Noted]) -> String {
    let kept = |Noted { label, direct, groups }: &Noted| {
        let groups: Vec<_> = groups.iter().map(ToString::to_string).collect();
        serde_json::json!([label.as_str(), direct, groups])
    };
    noted.iter().map(kept).collect::<serde_json::Value>().to_string()
}

pub(super) fn from_db(text: &str) -> Result<Vec<Noted>, Failure> {
    let kept: Vec<Kept> = serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "a row holds no list of labels");
        Failure::Internal
    })?;
    let noted = |(label, direct, groups): Kept| {
        let groups = groups.iter().map(|id| id.parse::<GroupId>()).collect::<Result<_, _>>()?;
        Ok(Noted { label: Label::new(&label), direct, groups })
    };
    kept.into_iter().map(noted).collect()
}

impl Noted {
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.groups.iter().copied()
    }

    /// What is left of it, given the labels that groups bear now and whether each is just their name.
    pub(super) fn left(self, borne: &BTreeMap<(GroupId, Label), bool>) -> Option<(Label, HeldThrough)> {
        let Self { label, direct, groups } = self;
        let mut through = HeldThrough { direct, ..HeldThrough::default() };
        for group in groups {
            match borne.get(&(group, label.clone())) {
                Some(false) => through.groups.push(group),
                Some(true) => through.named_by.push(group),
                None => {}
            }
        }
        let HeldThrough { direct, groups, named_by } = &through;
        (*direct || !groups.is_empty() || !named_by.is_empty()).then_some((label, through))
    }
}

/// What a change of the ground touched, to be compared with labels: those count that would be found as a holder's rows.
#[derive(Debug)]
pub(super) enum Naming<'a> {
    Everything,
    Names { roles: HashSet<&'a str>, contexts: HashSet<(ContextType, &'a str)> },
}

impl<'a> Naming<'a> {
    /// `None` where no label is touched.
    pub(super) fn of(touched: &'a Touched) -> Option<Self> {
        let Touched::Names { roles, retailers, locations, accounts } = touched else { return Some(Self::Everything) };
        if [roles, retailers, locations, accounts].iter().all(|names| names.is_empty()) {
            return None;
        }
        let contexts =
            [(ContextType::Retailer, retailers), (ContextType::Agent, locations), (ContextType::Account, accounts)];
        let of_kind = |(kind, names): (_, &'a Vec<String>)| names.iter().map(move |name| (kind, name.as_str()));
        let contexts = contexts.into_iter().flat_map(of_kind).collect();
        Some(Self::Names { roles: roles.iter().map(String::as_str).collect(), contexts })
    }

    /// Whether it concerns who had these labels.
    pub(super) fn any(&self, noted: &[Noted]) -> bool {
        match self {
            Self::Everything => true,
            Self::Names { roles, contexts } => noted.iter().any(|noted| names(&noted.label, roles, contexts)),
        }
    }
}

fn names(label: &Label, roles: &HashSet<&str>, contexts: &HashSet<(ContextType, &str)>) -> bool {
    let as_read = |reading: domain::label::Reading<'_>| {
        let Ok(kind) = ContextType::from_str(reading.context_type) else { return false };
        roles.contains(reading.role) || contexts.contains(&(kind, reading.context))
    };
    roles.contains(label.as_str()) || label.readings().into_iter().any(as_read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(label: &str, direct: bool, groups: &[GroupId]) -> Noted {
        Noted { label: Label::new(label), direct, groups: groups.iter().copied().collect() }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let all = [noted("A", true, &[]), noted("Say \"%\"", false, &[GroupId::new(), GroupId::new()])];
        assert_eq!(from_db(&to_db(&all)).unwrap(), all);
        assert_eq!(from_db("[]").unwrap(), []);
    }

    #[test]
    fn names_of_groups_are_noted_where_they_count() {
        let group = GroupId::new();
        let labels =
            BTreeMap::from([(Label::new("A"), HeldThrough { named_by: vec![group], ..HeldThrough::default() })]);
        assert_eq!(of(labels.clone(), DisplayNames::Names), []);
        assert_eq!(of(labels, DisplayNames::Labels), [noted("A", false, &[group])]);
    }

    #[test]
    fn a_label_is_touched_in_every_way_it_can_be_read() {
        let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let touched = |roles: &[&str], locations: &[&str], label: &str| {
            let (roles, locations) = (texts(roles), texts(locations));
            let touched = Touched::Names { roles, retailers: vec![], locations, accounts: vec![] };
            Naming::of(&touched).is_some_and(|naming| naming.any(&[noted(label, false, &[])]))
        };
        assert!(touched(&["A"], &[], "A") && touched(&["A"], &[], "agent_1_A"));
        assert!(touched(&[], &["1"], "AGENT_1_A") && touched(&["C"], &[], "AGENT_1_B_C"));
        assert!(!touched(&["B"], &["2"], "AGENT_1_A") && !touched(&["A"], &[], "TEAM_1_A"));
        assert!(!touched(&[], &["1"], "RETAILER_1_A") && !touched(&[], &[], "A"));
        assert!(Naming::of(&Touched::Everything).unwrap().any(&[]));
    }
}
