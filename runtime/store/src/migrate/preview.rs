//! The SQL of a plan, for an operator who wants to read it or run it by hand.

use std::fmt::Write as _;

use super::bookkeeping;
use super::plan::{Direction, Plan};
use super::script;
use super::set::MigrationSet;
use crate::pool::Backend;

/// The SQL that a plan would run, with comments that say which migration it belongs to.
pub fn preview_sql(set: &MigrationSet, backend: Backend, plan: &Plan) -> String {
    let mut text = format!("-- For {backend}. Nothing of this has been run.\n");
    if !plan.steps.is_empty() {
        push(&mut text, &bookkeeping::create(backend));
    }
    for step in &plan.steps {
        let Some(migration) = set.find(step.stream, step.version) else { continue };
        let scripts = migration.scripts(backend);
        let (word, sql) = match step.direction {
            Direction::Up => ("run", scripts.up.as_ref()),
            Direction::Down => ("take back", scripts.down.as_deref().unwrap_or_default()),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n-- {word} {}", migration.label());
        if let Some(cut) = step.resume {
            let _ = writeln!(text, "-- It was cut off after {} statements.", cut.done);
            if cut.in_doubt {
                text.push_str(
                    "-- The next one may have been run as well; leave it out if it fails for that.\n",
                );
            }
        }
        for statement in script::statements(sql).iter().skip(step.resume.map_or(0, |progress| progress.done))
        {
            push(&mut text, statement);
        }
        let (table, stream, version) = (bookkeeping::TABLE, migration.stream, migration.version);
        let note = match step.direction {
            Direction::Up if step.resume.is_some() => format!(
                "UPDATE {table} SET progress = NULL WHERE stream = '{stream}' AND version = {version}"
            ),
            Direction::Up => format!(
                "INSERT INTO {table} (stream, version, name, checksum, oldest_program, program, applied_at) \
                 VALUES ('{stream}', {version}, '{}', '{}', '{}', '{}', 0)",
                migration.name,
                migration.checksum(backend),
                migration.oldest_program,
                set.program
            ),
            Direction::Down => {
                format!("DELETE FROM {table} WHERE stream = '{stream}' AND version = {version}")
            }
        };
        push(&mut text, &note);
    }
    text
}

fn push(text: &mut String, statement: &str) {
    text.push_str(statement);
    text.push_str(";\n");
}
