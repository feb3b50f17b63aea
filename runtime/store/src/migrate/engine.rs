//! Runs a plan.

use innkeeper_model::time::Clock;

use super::bookkeeping::{self, Applied, Progress};
use super::error::MigrateError;
use super::owner::{self, Owner};
use super::plan::{Direction, Plan, Step};
use super::session::Session;
use super::set::{Migration, MigrationSet, Stream};
use super::{Current, Report, Target, script};
use crate::error::StoreError;
use crate::pool::{Backend, Pool};

/// Errors of MySQL that say that a statement was done already: a table, column or key that is there or is gone.
const ALREADY_DONE: [&str; 5] = ["1050", "1051", "1060", "1061", "1091"];

impl MigrationSet {
    /// As `migrate::current`.
    ///
    /// # Errors
    /// As `migrate::current`.
    pub async fn current(&self, pool: &Pool) -> Result<Current, StoreError> {
        let mut session = Session::open(pool).await?;
        look(&mut session).await
    }

    /// As `migrate::plan`.
    ///
    /// # Errors
    /// As `migrate::plan`.
    pub async fn plan(&self, pool: &Pool, direction: Direction, target: Target) -> Result<Plan, StoreError> {
        let mut session = Session::open(pool).await?;
        self.plan_in(&mut session, direction, target).await
    }

    /// As `migrate::upgrade`.
    ///
    /// # Errors
    /// As `migrate::upgrade`.
    pub async fn upgrade(&self, pool: &Pool, clock: &Clock, target: Target) -> Result<Report, StoreError> {
        self.run(pool, clock, Direction::Up, target).await
    }

    /// As `migrate::downgrade`.
    ///
    /// # Errors
    /// As `migrate::downgrade`.
    pub async fn downgrade(
        &self,
        pool: &Pool,
        clock: &Clock,
        stream: Stream,
        version: i64,
    ) -> Result<Report, StoreError> {
        self.run(pool, clock, Direction::Down, Target::Version(stream, version)).await
    }

    /// As `migrate::ensure_supported`.
    ///
    /// # Errors
    /// As `migrate::ensure_supported`.
    pub async fn ensure_supported(&self, pool: &Pool) -> Result<(), StoreError> {
        let Current { owner, applied } = self.current(pool).await?;
        self.check(pool.backend(), &applied)?;
        if let Some(cut) = applied.iter().find(|applied| applied.progress.is_some()) {
            return Err(MigrateError::CutOff(cut.label()).into());
        }
        if let Owner::Other(table) = owner {
            return Err(StoreError::Occupied(table));
        }
        let streams: &[Stream] = match owner {
            Owner::OpenWebUi(_) => &[Stream::Innkeeper],
            _ => &Stream::ALL,
        };
        match streams.iter().flat_map(|stream| self.missing(&applied, *stream)).next() {
            None => Ok(()),
            Some(missing) => Err(StoreError::SchemaMissing(format!("migration `{}`", missing.label()))),
        }
    }

    async fn plan_in(
        &self,
        session: &mut Session,
        direction: Direction,
        target: Target,
    ) -> Result<Plan, StoreError> {
        let Current { owner, applied } = look(session).await?;
        self.decide(session.backend(), owner, &applied, direction, target)
    }

    async fn run(
        &self,
        pool: &Pool,
        clock: &Clock,
        direction: Direction,
        target: Target,
    ) -> Result<Report, StoreError> {
        let mut session = Session::open(pool).await?;
        // A look without the lock is enough where nothing is to be done, as on most starts.
        let plan = self.plan_in(&mut session, direction, target).await?;
        if plan.steps.is_empty() {
            return Ok(Report { done: Vec::new(), warnings: plan.warnings });
        }
        session.lock(pool).await?;
        let plan = self.plan_in(&mut session, direction, target).await?;
        let mut report = Report { done: Vec::new(), warnings: plan.warnings };
        for warning in &report.warnings {
            tracing::warn!("{warning}");
        }
        if !plan.steps.is_empty() {
            session.command(&bookkeeping::create(session.backend())).await?;
        }
        for step in plan.steps {
            let unknown = MigrateError::UnknownTarget { stream: step.stream, version: step.version };
            let migration = self.find(step.stream, step.version).ok_or(unknown)?;
            session.check_lock().await?;
            self.take(&mut session, clock, migration, &step).await?;
            tracing::info!(migration = step.label(), direction = ?step.direction, "migrated");
            report.done.push(step);
        }
        session.close().await?;
        Ok(report)
    }

    async fn take(
        &self,
        session: &mut Session,
        clock: &Clock,
        migration: &Migration,
        step: &Step,
    ) -> Result<(), StoreError> {
        match session.backend() {
            Backend::Sqlite => {
                session.command("BEGIN IMMEDIATE").await?;
                let taken = self.in_transaction(session, clock, migration, step).await;
                finish(session, taken).await
            }
            Backend::Postgres => {
                session.command("BEGIN").await?;
                let taken = self.in_transaction(session, clock, migration, step).await;
                finish(session, taken).await
            }
            Backend::MySql => self.bit_by_bit(session, clock, migration, step).await,
        }
    }

    /// For databases whose schema changes are transactional.
    async fn in_transaction(
        &self,
        session: &mut Session,
        clock: &Clock,
        migration: &Migration,
        step: &Step,
    ) -> Result<(), StoreError> {
        // The lock should make this a formality.
        let applied = bookkeeping::read(session).await?;
        let there =
            applied.iter().any(|row| row.stream == step.stream.as_str() && row.version == step.version);
        if there == (step.direction == Direction::Up) {
            return Ok(());
        }
        let before = dangling(session).await?;
        for (index, statement) in statements(session.backend(), migration, step.direction).iter().enumerate()
        {
            session.command(statement).await.map_err(|error| failed(migration, index, error))?;
        }
        match step.direction {
            Direction::Up => {
                bookkeeping::add(session, migration, &self.program, clock.seconds(), None).await?
            }
            Direction::Down => bookkeeping::remove(session, migration).await?,
        }
        if dangling(session).await? > before {
            return Err(MigrateError::BrokenReferences(migration.label()).into());
        }
        Ok(())
    }

    /// For MySQL, which commits before each change of the schema: progress is kept, so that a run that was cut off
    /// goes on where it was.
    async fn bit_by_bit(
        &self,
        session: &mut Session,
        clock: &Clock,
        migration: &Migration,
        step: &Step,
    ) -> Result<(), StoreError> {
        let direction = step.direction;
        let begun = |done| Some(Progress { direction, done, in_doubt: true });
        match (direction, step.resume) {
            (_, Some(_)) => {}
            (Direction::Up, None) => {
                bookkeeping::add(session, migration, &self.program, clock.seconds(), begun(0)).await?;
            }
            (Direction::Down, None) => bookkeeping::set_progress(session, migration, begun(0)).await?,
        }
        let mut in_doubt = step.resume.is_some_and(|progress| progress.in_doubt);
        let first = step.resume.map_or(0, |progress| progress.done);
        for (index, statement) in
            statements(Backend::MySql, migration, direction).iter().enumerate().skip(first)
        {
            if let Err(error) = session.command(statement).await
                && !(in_doubt && already_done(&error))
            {
                // The server has answered, so this one is not done. If this note fails too, it stays in doubt.
                let failed_here = Some(Progress { direction, done: index, in_doubt: false });
                drop(bookkeeping::set_progress(session, migration, failed_here).await);
                return Err(failed(migration, index, error));
            }
            in_doubt = false;
            bookkeeping::set_progress(session, migration, begun(index + 1)).await?;
        }
        match step.direction {
            Direction::Up => bookkeeping::set_progress(session, migration, None).await,
            Direction::Down => bookkeeping::remove(session, migration).await,
        }
    }
}

async fn look(session: &mut Session) -> Result<Current, StoreError> {
    let applied: Vec<Applied> = bookkeeping::read(session).await?;
    Ok(Current { owner: owner::owner(session, &applied).await?, applied })
}

async fn finish(session: &mut Session, taken: Result<(), StoreError>) -> Result<(), StoreError> {
    match taken {
        Ok(()) => session.command("COMMIT").await,
        Err(error) => {
            // SQLite may have rolled back by itself; the connection is closed in any case.
            drop(session.command("ROLLBACK").await);
            Err(error)
        }
    }
}

fn statements(backend: Backend, migration: &Migration, direction: Direction) -> Vec<String> {
    let scripts = migration.scripts(backend);
    match direction {
        Direction::Up => script::statements(&scripts.up),
        Direction::Down => script::statements(scripts.down.as_deref().unwrap_or_default()),
    }
}

/// Rows of SQLite that refer to nothing. Enforcement is off while migrating, since a rebuilt table would otherwise take
/// the rows that refer to it along.
async fn dangling(session: &mut Session) -> Result<i64, StoreError> {
    match session.backend() {
        Backend::Sqlite => session.number("(SELECT count(*) FROM pragma_foreign_key_check)").await,
        Backend::Postgres | Backend::MySql => Ok(0),
    }
}

fn already_done(error: &StoreError) -> bool {
    match error {
        StoreError::Backend { code, .. } => ALREADY_DONE.contains(&code.as_str()),
        StoreError::Conflict(_) => true,
        _ => false,
    }
}

/// Names the statement, except where the script is not to blame.
fn failed(migration: &Migration, index: usize, error: StoreError) -> StoreError {
    if error.is_transient() {
        return error;
    }
    MigrateError::Failed { migration: migration.label(), statement: index + 1, source: Box::new(error) }
        .into()
}
