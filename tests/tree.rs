//! The rules of the source tree, each a test of its own.
//!
//! `tests/tree/rooms.rs` has the table of which room may use which; the other rules are about
//! `unsafe`, locks, assembly, sizes, and lines that every file must have. `BLESS=1` writes the
//! golden file of `unsafe` anew.

#[path = "tree/book.rs"]
mod book;
#[path = "tree/chapters.rs"]
mod chapters;
#[path = "tree/contract.rs"]
mod contract;
#[path = "tree/english.rs"]
mod english;
#[path = "tree/lints.rs"]
mod lints;
#[path = "tree/locks.rs"]
mod locks;
#[path = "tree/quotes.rs"]
mod quotes;
#[path = "tree/rooms.rs"]
mod rooms;
#[path = "tree/rules.rs"]
mod rules;
#[path = "tree/screens.rs"]
mod screens;
#[path = "tree/soundness.rs"]
mod soundness;
#[path = "tree/upward.rs"]
mod upward;
#[path = "tree/words.rs"]
mod words;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use xtask::trial::{Arguments, run, trial};

use crate::rules::Tree;

/// Name of a rule, and the function that returns its violations, one a line.
type Rule = (&'static str, fn(&Tree) -> Vec<String>);

const RULES: &[Rule] = &[
    (
        "rooms::use_only_what_stands_to_their_left",
        rooms::directions,
    ),
    ("readme::shows_screens_of_runs", screens::screenshots),
    ("rooms::no_exception_is_stale", rooms::stale_exceptions),
    ("rooms::drivers_are_used_from_arch_on", rooms::drivers),
    ("rooms::calls_upward_stand_in_the_table", upward::calls),
    ("files::are_all_declared_modules", rules::orphans),
    ("files::have_at_most_500_lines", rules::length),
    ("files::are_150_lines_in_the_middle", rules::median),
    ("files::begin_with_a_tagline", rules::tagline),
    ("files::of_the_book_say_where_in_it", rules::book),
    ("machine::is_gated_at_the_mod_line_only", rules::gates),
    (
        "machine::assembly_only_in_arch_x86_and_base",
        rules::assembly,
    ),
    ("unsafe::pure_files_forbid_it", rules::pure),
    ("unsafe::counts_are_the_blessed_ones", rules::unsafe_counts),
    ("unsafe::every_block_has_a_safety_comment", rules::safety),
    ("unsafe::no_static_mut", rules::static_mut),
    ("locks::docs_show_the_table", locks::docs),
    ("locks::classes_are_where_the_table_says", locks::classes),
    ("locks::no_statement_has_two_guards", locks::guards),
    ("locks::two_guards_are_seen", locks::guards_are_seen),
    ("locks::only_two_classes_are_nested", locks::several),
    (
        "unsafe::safe_functions_take_no_one_at_their_word",
        soundness::safe_functions,
    ),
    (
        "unsafe::the_rules_of_safe_functions_see",
        soundness::the_rules_see,
    ),
    ("words::nothing_is_left_to_do", words::unfinished),
    ("words::are_plain_english", english::plain),
    ("words::bad_english_is_seen", english::bad_english_is_seen),
    ("words::every_allow_has_its_reason", words::allows),
    ("words::nothing_about_the_workplace", words::forbidden),
    ("lints::sums_say_what_an_overflow_does", lints::sums),
    ("lints::methods_do_as_well", lints::methods),
    ("lints::endless_walks_are_seen", lints::walks_are_seen),
    ("docs::arch_names_all_that_is_needed_of_it", contract::arch),
    ("docs::name_only_files_that_exist", words::files_exist),
    ("docs::name_only_verbs_that_exist", words::verbs_exist),
    ("docs::name_only_tests_that_exist", words::tests_exist),
    (
        "docs::readme_shows_what_the_tour_prints",
        words::tour_is_shown,
    ),
    ("book::quotes_what_is_so", book::quotes),
    ("book::names_what_is_there", book::names),
    ("book::shows_what_can_be_typed", book::typed),
    ("book::chapters_have_all_parts", chapters::parts),
    ("book::questions_are_answered_by_name", chapters::questions),
    (
        "book::missing_parts_are_seen",
        chapters::missing_parts_are_seen,
    ),
    ("book::recorded_switches_are_shown", chapters::scenes),
    ("book::index_leads_to_what_it_says", chapters::index),
    ("book::pictures_are_their_texts", book::pictures),
    ("book::timeline_is_of_a_run", book::timeline),
    ("book::contents_are_complete", book::contents),
    ("docs::links_lead_somewhere", book::links),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tree = match Tree::read() {
        Ok(tree) => Arc::new(tree),
        Err(error) => {
            eprintln!("the tree cannot be read: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let trials = RULES
        .iter()
        .map(|&(name, rule)| {
            let tree = Arc::clone(&tree);
            trial(name, Duration::from_secs(20), move || {
                let violations = rule(&tree);
                anyhow::ensure!(violations.is_empty(), "{}", violations.join("\n"));
                Ok(())
            })
        })
        .collect();
    run(&arguments, trials).exit_code()
}
