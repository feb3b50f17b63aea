//! `innkeeper db`.

use anyhow::Context;
use innkeeper_model::time::Clock;
use innkeeper_store::migrate::{self, Direction, MigrationSet, Owner, Step, Target};
use serde_json::json;

use crate::args::Db;
use crate::config::Settings;
use crate::output::{Output, cell, facts};
use crate::{data_dir, database, stack};

/// Runs a command.
pub(crate) fn run(command: Db, settings: &Settings, output: &Output) -> anyhow::Result<()> {
    data_dir::prepare(&settings.data_dir)?;
    stack::small_runtime()?.block_on(async {
        // Looking at a database must not make one.
        let pool = database::open(settings, matches!(command, Db::Upgrade)).await?;
        match command {
            Db::Current => {
                let current = migrate::current(&pool).await?;
                let plan = migrate::plan(&pool, Direction::Up, Target::Latest).await?;
                let applied: Vec<String> = current.applied.iter().map(migrate::Applied::label).collect();
                let pending: Vec<String> = plan.steps.iter().map(Step::label).collect();
                let owner = owner(&current.owner);
                let backend = pool.backend().to_string();
                let value =
                    json!({ "backend": backend, "owner": owner, "applied": applied, "pending": pending });
                output.say(&value, || {
                    facts(&[
                        ("database", backend.clone()),
                        ("shared tables", cell(&owner)),
                        ("applied", list(&applied)),
                        ("pending", list(&pending)),
                    ])
                })
            }
            Db::Upgrade => {
                let report = migrate::upgrade(&pool, &Clock::System, Target::Latest)
                    .await
                    .context("cannot upgrade the database")?;
                let done: Vec<String> = report.done.iter().map(Step::label).collect();
                let value = json!({ "done": done, "warnings": report.warnings });
                output.say(&value, || {
                    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}\n"));
                    let done = if done.is_empty() {
                        "nothing to do".to_owned()
                    } else {
                        format!("done: {}", list(&done))
                    };
                    format!("{}{done}", warnings.collect::<String>())
                })
            }
            Db::Preview => {
                let plan = migrate::plan(&pool, Direction::Up, Target::Latest).await?;
                let sql = migrate::preview_sql(&MigrationSet::embedded(), pool.backend(), &plan);
                let steps: Vec<String> = plan.steps.iter().map(Step::label).collect();
                output.say(&json!({ "steps": steps, "sql": sql }), || sql.clone())
            }
        }
    })
}

fn owner(owner: &Owner) -> String {
    match owner {
        Owner::Nobody => "nobody's yet".to_owned(),
        Owner::Innkeeper => "innkeeper".to_owned(),
        Owner::OpenWebUi(revision) => format!("Open WebUI (revision {revision})"),
        Owner::Other(table) => format!("another program (table {table})"),
    }
}

fn list(labels: &[String]) -> String {
    if labels.is_empty() { "none".to_owned() } else { labels.join(", ") }
}
