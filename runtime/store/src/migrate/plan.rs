//! What a run would do: decided from what was run before, without touching the database.

use super::Target;
use super::bookkeeping::{Applied, Progress};
use super::error::MigrateError;
use super::owner::Owner;
use super::set::{Migration, MigrationSet, Stream, label};
use crate::error::StoreError;
use crate::pool::Backend;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Making changes.
    Up,
    /// Taking them back.
    Down,
}

/// One migration to run or to take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which way.
    pub direction: Direction,
    /// Its stream.
    pub stream: Stream,
    /// Its place in the stream.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// How far an earlier run came that was cut off.
    pub resume: Option<Progress>,
}

/// What a run would do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose the shared tables are.
    pub owner: Owner,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What an operator should know before.
    pub warnings: Vec<String>,
}

impl Step {
    /// How messages name it.
    pub fn label(&self) -> String {
        label(self.stream.as_str(), self.version, &self.name)
    }

    fn new(direction: Direction, migration: &Migration, resume: Option<Progress>) -> Self {
        let Migration { stream, version, name, .. } = migration;
        Self { direction, stream: *stream, version: *version, name: name.to_string(), resume }
    }
}

impl MigrationSet {
    pub(super) fn decide(
        &self,
        backend: Backend,
        owner: Owner,
        applied: &[Applied],
        direction: Direction,
        target: Target,
    ) -> Result<Plan, StoreError> {
        self.check(backend, applied)?;
        if let Target::Version(stream, version) = target {
            let lowest = if direction == Direction::Down { 0 } else { 1 };
            if version < lowest || (version > 0 && self.find(stream, version).is_none()) {
                return Err(MigrateError::UnknownTarget { stream, version }.into());
            }
            if stream == Stream::Shared && matches!(owner, Owner::OpenWebUi(_)) {
                return Err(MigrateError::NotOurs.into());
            }
        }
        if let Owner::Other(table) = owner {
            return Err(StoreError::Occupied(table));
        }
        let mut plan = Plan { owner, steps: Vec::new(), warnings: Vec::new() };
        match (direction, target) {
            (Direction::Up, Target::Latest) => {
                for stream in Stream::ALL {
                    if stream == Stream::Innkeeper || !matches!(plan.owner, Owner::OpenWebUi(_)) {
                        self.up(&mut plan, applied, stream, i64::MAX);
                    }
                }
            }
            (Direction::Up, Target::Version(stream, version)) => self.up(&mut plan, applied, stream, version),
            // Taking back everything is said stream by stream.
            (Direction::Down, Target::Latest) => {}
            (Direction::Down, Target::Version(stream, version)) => {
                self.down(&mut plan, backend, applied, stream, version)?;
            }
        }
        Ok(plan)
    }

    /// Fails where this program cannot run on what was run.
    pub(super) fn check(&self, backend: Backend, applied: &[Applied]) -> Result<(), StoreError> {
        for applied in applied {
            if number(&applied.oldest_program) > number(&self.program) {
                return Err(StoreError::TooNew {
                    migration: applied.label(),
                    needed: applied.oldest_program.clone(),
                    program: self.program.to_string(),
                });
            }
            let known = Stream::parse(&applied.stream).and_then(|stream| self.find(stream, applied.version));
            if known.is_some_and(|known| known.checksum(backend) != applied.checksum) {
                return Err(MigrateError::Drift(applied.label()).into());
            }
        }
        Ok(())
    }

    /// What has not been run of a stream, up to a version.
    pub(super) fn missing<'a>(
        &'a self,
        applied: &'a [Applied],
        stream: Stream,
    ) -> impl Iterator<Item = &'a Migration> {
        self.of(stream).filter(move |migration| find(applied, migration).is_none())
    }

    fn up(&self, plan: &mut Plan, applied: &[Applied], stream: Stream, version: i64) {
        let newest = applied
            .iter()
            .filter(|applied| applied.stream == stream.as_str())
            .map(|applied| applied.version)
            .max();
        for migration in self.of(stream).filter(|migration| migration.version <= version) {
            match find(applied, migration).map(|applied| applied.progress) {
                None => {
                    if newest.is_some_and(|newest| migration.version < newest) {
                        plan.warnings.push(format!(
                            "migration `{}` is older than one that was already run; it is run now",
                            migration.label()
                        ));
                    }
                    plan.steps.push(Step::new(Direction::Up, migration, None));
                }
                Some(None) => {}
                Some(Some(progress)) => {
                    plan.steps.push(Step::new(progress.direction, migration, Some(progress)));
                    if progress.direction == Direction::Down {
                        plan.steps.push(Step::new(Direction::Up, migration, None));
                    }
                }
            }
        }
    }

    fn down(
        &self,
        plan: &mut Plan,
        backend: Backend,
        applied: &[Applied],
        stream: Stream,
        version: i64,
    ) -> Result<(), StoreError> {
        let of_stream = applied.iter().filter(|applied| applied.stream == stream.as_str());
        let mut above: Vec<_> = of_stream.filter(|applied| applied.version > version).collect();
        above.sort_by_key(|applied| std::cmp::Reverse(applied.version));
        for applied in above {
            let migration =
                self.find(stream, applied.version).ok_or_else(|| MigrateError::Unknown(applied.label()))?;
            if migration.scripts(backend).down.is_none() {
                return Err(MigrateError::NoWayBack(migration.label()).into());
            }
            let resume = match applied.progress {
                Some(progress) if progress.direction == Direction::Up => {
                    plan.steps.push(Step::new(Direction::Up, migration, Some(progress)));
                    None
                }
                other => other,
            };
            plan.steps.push(Step::new(Direction::Down, migration, resume));
        }
        Ok(())
    }
}

fn find<'a>(applied: &'a [Applied], migration: &Migration) -> Option<&'a Applied> {
    applied
        .iter()
        .find(|applied| applied.stream == migration.stream.as_str() && applied.version == migration.version)
}

/// A version's numbers. What follows a `-` or `+` does not count.
fn number(version: &str) -> [u64; 3] {
    let version = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(number("0.10.0") > number("0.9.9"));
        assert!(number("1.0.0-rc.1") == number("1.0.0"));
        assert!(number("") < number("0.0.1"));
    }
}
