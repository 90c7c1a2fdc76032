//! What the gateway asks of labels: which of some would give nothing, and which there are to pick from.

use std::collections::BTreeSet;

use proto::roles::v1 as roles;
use rand::Rng as _;
use rand::seq::IndexedRandom as _;

use crate::asker::{Asker, fits, received};
use crate::company::Company;
use crate::step;

/// How labels may begin.
const PREFIXES: [&str; 4] = ["AGENT_", "AGENT_77_", "RETAILER_MAIN_S", "nonsense"];

impl Company {
    /// The labels that users and groups hold. The name of a group is none.
    fn in_use(&self) -> BTreeSet<String> {
        let direct = self.users.iter().flat_map(|user| user.labels.clone());
        direct.chain(self.groups.iter().flat_map(|group| self.stated(group))).collect()
    }

    /// Every recognised label that a context and a role make, where a place goes by its ref if that names it alone, else by
    /// its id if that does.
    fn pairs(&self, locations: bool) -> BTreeSet<String> {
        let names = |places: &[(String, String)]| {
            let alone = |name: &String| places.iter().filter(|(id, r)| id == name || r == name).count() == 1;
            let name = |(id, r): &(String, String)| [r, id].into_iter().find(|n| !n.is_empty() && alone(n)).cloned();
            places.iter().filter_map(name).collect::<Vec<_>>()
        };
        let mut contexts = vec!["ACCOUNT_0".to_owned()];
        contexts.extend(names(&self.catalogue.retailers).iter().map(|name| format!("RETAILER_{name}")));
        if locations {
            contexts.extend(names(&self.catalogue.locations).iter().map(|name| format!("AGENT_{name}")));
        }
        let ends: Vec<_> = self.catalogue.roles.iter().chain(self.rules().iter().map(|rule| &rule.logical)).collect();
        let pair = |context: &String| ends.iter().map(|end| format!("{context}_{end}")).collect::<Vec<_>>();
        contexts.iter().flat_map(pair).filter(|label| self.meaning(label).is_ok()).collect()
    }
}

impl Asker {
    /// Asks which of some labels would give nothing, and what the others give. It is not told of which state the answer is: what is asked beside
    /// changes is compared where there was none.
    pub(crate) async fn match_labels(&mut self) {
        let before = self.head().await;
        let mut labels: BTreeSet<String> = self.newest().in_use();
        labels.extend(step::LABELS.choose_multiple(&mut self.random, 8).map(ToString::to_string));
        labels.extend(step::GROUP_NAMES.map(str::to_owned));
        let labels: Vec<_> = labels.into_iter().collect();
        let (tenant, labels_asked) = (self.tenant.clone(), labels.clone());
        let with_grants = self.random.random();
        let request = roles::MatchLabelsRequest { tenant, labels: labels_asked, with_grants };
        let answer = self.labels.match_labels(request).await.unwrap().into_inner();
        if self.head().await != before {
            return;
        }
        let company = self.at(before).await;
        let given: BTreeSet<_> =
            labels.iter().flat_map(|label| company.meaning(label)).flat_map(|m| m.grants).collect();
        let told: BTreeSet<_> = answer.grants.iter().map(received).collect();
        assert_eq!(told.len(), answer.grants.len(), "{}: each once", self.how);
        assert_eq!(told, if with_grants { given } else { BTreeSet::new() }, "{}", self.how);
        let refused: Vec<_> = labels.into_iter().filter(|label| company.meaning(label).is_err()).collect();
        let told: Vec<_> = answer.unmatched.iter().map(|unmatched| unmatched.label.clone()).collect();
        assert_eq!(told, refused, "{}", self.how);
        for unmatched in &answer.unmatched {
            let reasons = company.meaning(&unmatched.label).unwrap_err();
            assert!(fits(&company, unmatched, &reasons), "{}: {unmatched:?} for {reasons:?}", self.how);
        }
    }

    /// Asks which labels there are to pick from, all at once and page by page, with and without those that only locations
    /// make, and those that begin with something.
    pub(crate) async fn list_labels(&mut self) {
        let before = self.head().await;
        let all_locations = self.random.random();
        let all = self.list("", all_locations, None).await;
        let size = self.random.random_range(1..40);
        let pages = self.list("", all_locations, Some(size)).await;
        let prefix = *PREFIXES.choose(&mut self.random).unwrap();
        let some = self.list(prefix, false, None).await;
        if self.head().await != before {
            return;
        }
        assert_eq!(pages, all, "{}: by pages of {size}", self.how);
        let company = self.at(before).await;
        let (in_use, how) = (company.in_use(), self.how);
        let of = |locations, prefix: &str| {
            let all = company.pairs(locations).into_iter().chain(in_use.iter().cloned());
            all.filter(|label| label.starts_with(prefix)).collect::<BTreeSet<_>>()
        };
        for (listed, expected) in [(&all, of(all_locations, "")), (&some, of(true, prefix))] {
            let told: BTreeSet<_> = listed.iter().map(|(label, _)| label.clone()).collect();
            assert_eq!(told.len(), listed.len(), "{how}: each once");
            assert!(told.is_superset(&expected), "{how}: {:?} is missing", expected.difference(&told));
            for (label, recognised) in listed {
                assert_eq!(*recognised, company.meaning(label).is_ok(), "{how}: {label}");
                let known = *recognised || in_use.contains(label);
                assert!(known, "{how}: {label} gives nothing, and nobody holds it");
            }
        }
    }

    /// The labels that begin with a text, and whether each is recognised; read by cursor if pages are of a size.
    async fn list(&mut self, prefix: &str, all_locations: bool, size: Option<u32>) -> Vec<(String, bool)> {
        let filter = if prefix.is_empty() { String::new() } else { format!("value sw \"{prefix}\"") };
        let mut request = roles::ListLabelsRequest {
            tenant: self.tenant.clone(),
            filter,
            start_index: 1,
            count: size.unwrap_or(1_000),
            cursor: size.map(|_| String::new()),
            base_url: "https://host/scim/v2".to_owned(),
            all_locations,
            ..roles::ListLabelsRequest::default()
        };
        let mut listed = Vec::new();
        loop {
            let answer = self.labels.list_labels(request.clone()).await.unwrap().into_inner();
            listed.extend(answer.labels.into_iter().map(|label| (label.label, label.recognised)));
            if answer.next_cursor.is_empty() {
                let is_still = size.is_some() || listed.len() as u64 == answer.total_results;
                assert!(is_still, "{}: {} of {}", self.how, listed.len(), answer.total_results);
                return listed;
            }
            request.cursor = Some(answer.next_cursor);
        }
    }
}
