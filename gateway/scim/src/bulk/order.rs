//! The order operations run in: as sent, but what makes a resource before what refers to it.

use std::collections::BTreeSet;

use super::operation::{Action, Operation};
use super::references::{Site, bulk_id_in, visit};
use super::{Job, Step, Verb};
use crate::error::Error;
use crate::schema::{GROUPS, USERS};

/// An operation whose references are being followed, with those still to follow.
struct Visit {
    number: usize,
    rest: std::vec::IntoIter<usize>,
}

impl Job {
    /// Fills the steps. What can't be brought into an order is made an error.
    pub(super) fn order(&mut self) {
        let mut makers: Vec<Vec<usize>> = (0..self.operations.len()).map(|number| self.makers_for(number)).collect();
        for number in in_circles_of_groups(&self.operations, &makers) {
            let detail = "groups of this request would contain each other, directly or through others";
            self.operations[number].action = Err(Error::new(409, detail));
            makers[number].clear();
        }
        let mut begun = vec![false; makers.len()];
        let mut ended = vec![false; makers.len()];
        // By operation: the users that wait for what it makes.
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); makers.len()];
        for first in 0..makers.len() {
            let mut stack = Vec::new();
            let enter = |number: usize, stack: &mut Vec<Visit>, begun: &mut Vec<bool>, makers: &mut Vec<Vec<usize>>| {
                begun[number] = true;
                stack.push(Visit { number, rest: std::mem::take(&mut makers[number]).into_iter() });
            };
            if !begun[first] {
                enter(first, &mut stack, &mut begun, &mut makers);
            }
            while let Some(Visit { number, rest }) = stack.last_mut() {
                let number = *number;
                match rest.next() {
                    Some(maker) if !begun[maker] => enter(maker, &mut stack, &mut begun, &mut makers),
                    // It waits for this one itself: a circle, which only users are in by now.
                    Some(maker) if !ended[maker] => waiting[maker].push(number),
                    Some(_) => {}
                    None => {
                        stack.pop();
                        ended[number] = true;
                        self.steps.push_back(Step::Run(number));
                        self.steps.extend(waiting[number].drain(..).map(Step::Complete));
                    }
                }
            }
        }
        let late: BTreeSet<usize> = self
            .steps
            .iter()
            .filter_map(|step| if let Step::Complete(number) = step { Some(*number) } else { None })
            .collect();
        for number in late {
            if let Ok(action) = &mut self.operations[number].action {
                action.split();
            }
        }
    }

    /// The operations that make what one refers to, each once.
    fn makers_for(&mut self, number: usize) -> Vec<usize> {
        let mut found = BTreeSet::new();
        let makers = &self.makers;
        let mut kinds_of = Vec::new();
        if let Ok(Action { kind, verb, id, data, .. }) = &mut self.operations[number].action {
            found.extend(bulk_id_in(id).and_then(|bulk_id| makers.get(bulk_id)));
            if let Some(data) = data {
                let _never = visit(kind, *verb, data, &mut |Site { text, kinds }| {
                    kinds_of.extend(bulk_id_in(text).and_then(|bulk_id| makers.get(bulk_id)).map(|it| (*it, kinds)));
                    Ok(())
                });
            }
        }
        let of_kind = |(maker, kinds): &(usize, &[&str])| {
            self.operations[*maker].action.as_ref().is_ok_and(|action| kinds.contains(&action.kind.name))
        };
        found.extend(kinds_of.iter().filter(|it| of_kind(it)).map(|(maker, _)| *maker));
        found.into_iter().collect()
    }
}

/// The new groups that would contain themselves, or a group that does: whatever of them can't be taken away one by one,
/// each when none that is left is in it.
fn in_circles_of_groups(operations: &[Operation], makers: &[Vec<usize>]) -> Vec<usize> {
    let is_new = |number: usize, kind: &str| {
        let action = operations[number].action.as_ref();
        action.is_ok_and(|action| action.verb == Verb::Create && action.kind.name == kind)
    };
    let groups: Vec<usize> = (0..operations.len()).filter(|number| is_new(*number, GROUPS.name)).collect();
    let mut inner = vec![0_usize; operations.len()];
    let mut outer: Vec<Vec<usize>> = vec![Vec::new(); operations.len()];
    for group in &groups {
        for member in makers[*group].iter().filter(|member| !is_new(**member, USERS.name)) {
            inner[*group] += 1;
            outer[*member].push(*group);
        }
    }
    let mut free: Vec<usize> = groups.iter().copied().filter(|group| inner[*group] == 0).collect();
    while let Some(group) = free.pop() {
        for outer in std::mem::take(&mut outer[group]) {
            inner[outer] -= 1;
            if inner[outer] == 0 {
                free.push(outer);
            }
        }
    }
    groups.into_iter().filter(|group| inner[*group] > 0).collect()
}
