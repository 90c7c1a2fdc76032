//! What every identity-store must do, whatever it keeps its data in: named behaviours, written against the contract
//! alone.
//!
//! A backend is a way to call the store ([`Backend::transport`]) and what only the process that runs it can do
//! ([`Insider`]). [`store_suite!`] makes one test of each behaviour:
//!
//! ```text
//! store_suite::store_suite!(sqlite, support::sqlite());
//! store_suite::store_suite!(postgres, support::postgres());
//! store_suite::store_suite!(over_the_network, support::sqlite_behind_a_socket());
//! ```
//!
//! A store of several processes over one database is one backend too: [`in_turn`] makes one transport of theirs.
//!
//! The second argument is evaluated once for each test and gives a future of a [`Backend`]. Each behaviour makes tenants
//! of its own, so backends may share a database, except that [`feed::a_new_life_of_the_database_begins_a_new_history`]
//! renews the epoch of all of it.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a behaviour fails as a test does, with a panic that says what differs"
)]

pub mod access;
pub mod catalogue;
pub mod cursors;
pub mod feed;
pub mod filters;
pub mod ground;
pub mod group_labels;
pub mod groups;
pub mod held_back;
pub mod holders;
pub mod labels_in_use;
pub mod rules;
pub mod stamps;
pub mod tenants;
pub mod tokens;
pub mod users;

mod documents;
mod replicas;
mod tenant;
mod together;

use std::sync::Arc;
use std::time::Duration;

use runtime::grpc::Transport;

/// A store under test.
#[derive(Clone)]
pub struct Backend {
    /// The way to call it, as a part of Rolecall.
    pub transport: Transport,
    /// What only the process that runs it can do. Dropped last: it may hold what keeps the store running.
    pub insider: Arc<dyn Insider>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("transport", &self.transport).finish_non_exhaustive()
    }
}

/// What no call of the contract can do or see.
#[tonic::async_trait]
pub trait Insider: Send + Sync {
    /// How many audit entries the tenant has.
    async fn audit_entries(&self, tenant: &str) -> u64;
    /// Moves the store's clock on.
    async fn pass_time(&self, by: Duration);
    /// Begins a new epoch, as an operator does after restoring a backup.
    async fn renew_epoch(&self);
    /// Puts so many active users into a tenant, without the work of a change each; answers their ids. Each is named by the
    /// digits of its id and has no labels.
    async fn stock(&self, tenant: &str, users: usize) -> Vec<String>;
    /// The way to call the same store as it is in production: it waits no longer for locks. Only a call may last longer, for
    /// the machine of a test may be slow.
    async fn as_in_production(&self) -> Transport;
}

pub use replicas::in_turn;
pub use tonic::async_trait;

/// Makes a module `$name` with one test of each behaviour, over the backend that the future `$setup` gives.
#[macro_export]
macro_rules! store_suite {
    ($name:ident, $setup:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the setup may be written with full paths")]
            use super::*;
            $crate::behaviours!($setup);
        }
    };
}

/// The list of the behaviours: [`store_suite!`] uses it.
#[doc(hidden)]
#[macro_export]
macro_rules! behaviours {
    ($setup:expr) => {
        $crate::tests! { $setup,
            users {
                a_user_reads_back_as_written
                a_deleted_user_is_gone_and_its_name_is_free
                one_name_is_given_to_one_user
                names_that_differ_in_case_or_composition_are_one_name
                two_users_renamed_to_one_name_at_once_do_not_both_get_it
                of_many_replaces_of_one_version_one_wins
                a_write_that_is_refused_leaves_no_trace
                refused_writes_among_others_leave_no_trace
                a_write_that_changes_nothing_leaves_no_trace
                an_outcome_moves_neither_version_nor_revision
                of_the_outcomes_in_one_report_each_users_newest_stays
                a_user_is_deactivated_whatever_else_is_asked
            }
            group_labels {
                the_table_gives_a_group_the_labels_of_its_first_key
                a_change_of_the_table_stamps_and_tells_the_groups_concerned
                an_entry_is_judged_by_the_labels_it_adds
                no_change_of_group_labels_holds_a_crowd
                a_change_that_takes_a_name_away_is_never_refused
                a_name_is_taken_away_where_it_is_read_otherwise
                a_groups_name_is_held_as_a_name
                what_came_through_a_group_between_goes_with_it
            }
            ground {
                a_change_that_would_hit_a_crowd_waits_until_it_is_confirmed
                a_preview_says_what_then_happens
                a_preview_of_a_groups_labels_says_what_then_happens
                a_newer_read_replaces_or_withdraws_the_one_that_waits
                a_dismissed_read_is_not_proposed_again_until_another_is_read
                what_hits_few_or_only_gives_does_not_wait
            }
            groups {
                members_added_at_once_all_stay
                a_member_added_and_removed_at_once_ends_as_the_last_revision_says
                a_groups_document_changes_beside_its_members_and_nobody_is_lost
                a_replacement_of_the_members_keeps_exactly_those_named
                members_are_taken_away_whatever_else_is_asked
                a_user_shows_the_groups_it_is_in
                a_deleted_user_is_a_member_of_nothing
                two_groups_at_once_do_not_come_to_contain_each_other
                a_group_does_not_contain_itself_through_others
                members_are_listed_in_order_and_after_any_of_them
                users_are_deactivated_beside_a_write_of_fifty_thousand_memberships
                changes_in_opposite_order_never_meet_an_error
                a_member_that_can_be_nobody_is_left_out
            }
            filters {
                users_are_found_by_what_the_filter_names
                groups_are_found_by_what_the_filter_names
                pages_cover_the_list_once
                a_filter_that_cannot_be_read_finds_nobody_but_an_error
            }
            access {
                labels_come_directly_and_through_nested_groups
                users_are_named_in_three_ways
                a_change_of_access_stamps_its_own_holder_alone
                it_is_told_how_a_user_is_in_its_groups
                what_is_read_together_is_of_one_revision
                holdings_and_their_ground_belong_to_one_revision
            }
            cursors {
                a_cursor_that_was_not_made_for_a_list_opens_nothing
            }
            labels_in_use {
                each_label_in_use_is_listed_once
                of_labels_in_use_no_more_are_told_than_a_message_holds
            }
            held_back {
                where_a_tenant_says_so_those_beyond_the_limit_are_held_back
                a_crowd_that_leaves_at_once_is_held_back_from_the_limit_on
                what_a_deleted_user_held_is_told_as_it_was
                what_a_deleted_user_held_through_a_group_goes_with_the_group
                who_returns_is_held_back_no_more_and_is_judged_anew
                a_release_is_told_by_the_feed_once_for_each
                nobody_is_released_who_came_after_the_list
                who_is_held_back_stays_so_whatever_the_setting_becomes
                who_was_deleted_stays_held_back_whoever_bears_its_name
                what_the_ground_gives_concerns_also_the_deleted_who_are_held_back
            }
            holders {
                a_label_is_looked_for_in_every_way_it_can_be_read
                holders_are_listed_once_a_page_at_a_time
                who_holds_very_many_labels_is_listed_whatever_is_asked
            }
            stamps {
                a_kept_set_is_right_until_what_it_depends_on_changes
                a_kept_set_of_another_user_or_of_the_future_is_read_again
                the_feed_tells_every_stamp
            }
            catalogue {
                a_ground_is_sent_whole_to_one_who_does_not_hold_it
                settings_read_back_and_are_part_of_the_ground
                a_catalogue_equal_in_content_changes_nothing
                a_reader_with_an_older_fence_is_refused
                who_awaits_a_catalogue_is_served_by_a_read_that_began_after
                who_awaits_a_catalogue_in_vain_is_told_in_time
            }
            rules {
                rule_sets_are_put_whole_and_read_back
                a_malformed_rule_set_is_refused_and_the_one_there_stays
                the_tenant_says_which_rule_set_is_in_force
                rules_and_catalogue_of_one_read_are_one_change
                a_fault_in_fluents_rules_is_told_and_the_last_good_ones_stay
                those_affected_by_rules_hold_labels_that_name_them
            }
            feed {
                every_kind_of_change_is_told_with_what_it_means
                every_revision_is_read_once_and_in_order_beside_writers
                a_limit_never_cuts_a_revision
                what_takes_away_is_found_whatever_lies_between
                those_affected_are_the_members_of_that_moment
                all_users_are_listed_once
                a_watcher_hears_of_every_commit
                a_position_of_another_history_is_refused
                a_new_life_of_the_database_begins_a_new_history
            }
            tokens {
                a_token_is_good_until_it_is_revoked
                a_token_ends_when_its_time_is_over
                a_tenant_has_at_most_five_good_tokens
                what_is_not_a_token_of_ours_is_refused_alike
                an_access_token_is_good_for_its_time_and_while_its_token_is
            }
            tenants {
                a_tenant_is_made_once
                one_who_names_no_tenant_there_is_finds_nothing
                nothing_of_one_tenant_is_seen_or_touched_by_another
                a_tenants_extensions_are_its_own_and_are_filtered_by
                extensions_put_at_once_are_all_kept
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! tests {
    ($setup:expr, $($module:ident { $($behaviour:ident)+ })+) => {$(
        mod $module {
            #[allow(unused_imports, reason = "the setup may be written with full paths")]
            use super::*;
            $crate::tests!(@each $setup, $module, $($behaviour)+);
        }
    )+};
    (@each $setup:expr, $module:ident, $($behaviour:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            let backend: $crate::Backend = $setup.await;
            $crate::$module::$behaviour(&backend).await;
        }
    )+};
}

#[cfg(test)]
mod tests {
    /// A behaviour that is not listed would be run by nobody.
    #[test]
    fn every_behaviour_is_listed_in_its_module() {
        let modules = [
            ("access", include_str!("access.rs")),
            ("catalogue", include_str!("catalogue.rs")),
            ("cursors", include_str!("cursors.rs")),
            ("feed", include_str!("feed.rs")),
            ("filters", include_str!("filters.rs")),
            ("ground", include_str!("ground.rs")),
            ("group_labels", include_str!("group_labels.rs")),
            ("groups", include_str!("groups.rs")),
            ("held_back", include_str!("held_back.rs")),
            ("holders", include_str!("holders.rs")),
            ("labels_in_use", include_str!("labels_in_use.rs")),
            ("rules", include_str!("rules.rs")),
            ("stamps", include_str!("stamps.rs")),
            ("tenants", include_str!("tenants.rs")),
            ("tokens", include_str!("tokens.rs")),
            ("users", include_str!("users.rs")),
        ];
        let there = include_str!("lib.rs").lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        assert_eq!(there.collect::<Vec<_>>(), modules.map(|(module, _)| module));
        let (_, list) = include_str!("lib.rs").split_once("$crate::tests! { $setup,").unwrap();
        for (module, source) in modules {
            let (_, listed) = list.split_once(&format!(" {module} {{")).unwrap();
            let listed: Vec<_> = listed.split_once('}').unwrap().0.split_whitespace().collect();
            let written = source.lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next());
            assert_eq!(written.collect::<Vec<_>>(), listed, "{module}");
        }
    }
}
