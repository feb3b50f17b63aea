//! What a sandboxed call costs beside the same call on bare wasmtime, and a model read beside the same read on the pool.
//!
//! Each group is one comparison; `bare` is what the others are compared with. Figures that are no times are kept by `measurements::keep`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark may panic"
)]

mod bare;
mod plugin;

use std::hint::black_box;
use std::time::Instant;

use bare::BarePlugin;
use criterion::{BenchmarkId, Criterion};
use innkeeper_model::authority::Authority;
use innkeeper_model::chunk::Chunk;
use innkeeper_sandbox::{Ask, EngineOptions};
use innkeeper_store::Pool;
use innkeeper_testing::databases::Backend;
use innkeeper_testing::guests::guest;
use innkeeper_testing::measurements::{is_wanted, keep, median};
use plugin::{Plugin, tool};
use serde_json::json;
use tokio::runtime::Runtime;

const TWO_THREADS: &str = "fresh calls on two threads";
/// Reads that a guest begins together.
const AT_ONCE: u64 = 32;
const WAITING: &str = "memory of a call that waits for a person";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    fresh_and_live(&mut criterion);
    reads(&mut criterion);
    chunks(&mut criterion);
    criterion.final_summary();
    if is_wanted(TWO_THREADS) {
        two_threads();
    }
    if is_wanted(WAITING) {
        waiting();
    }
}

/// One thread, as a worker of the runtime for guests is one.
fn one_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn fresh_and_live(criterion: &mut Criterion) {
    let runtime = one_thread();
    let innkeeper =
        runtime.block_on(Plugin::new("nothing", EngineOptions::default(), Backend::Sqlite)).unwrap();
    let bare = BarePlugin::new(&guest("nothing"), &EngineOptions::default());
    for name in ["noop", "one-call"] {
        let mut group = criterion.benchmark_group(format!("fresh {name}"));
        group.bench_function("bare", |bencher| bencher.to_async(&runtime).iter(|| bare.call(name)));
        group.bench_function("innkeeper", |bencher| bencher.to_async(&runtime).iter(|| innkeeper.call(name)));
        group.finish();
        let mut group = criterion.benchmark_group(format!("live {name}"));
        let mut live = runtime.block_on(bare.live());
        group.bench_function("bare", |bencher| bencher.iter(|| runtime.block_on(live.call(name))));
        let mut live = runtime.block_on(innkeeper.live());
        group.bench_function("innkeeper", |bencher| {
            bencher.iter(|| runtime.block_on(live.hook(tool(name))).unwrap());
        });
        group.finish();
    }
}

/// Repeats something in a task of the runtime, as turns run: what is waited for from outside costs one more change of threads.
/// `$kept` holds what it needs, `$held` in the task.
macro_rules! in_task {
    ($bencher:expr, $runtime:expr, $kept:ident, |$held:ident| $once:expr) => {
        $bencher.iter_custom(|times| {
            #[allow(unused_mut, reason = "not everything needs to be changed")]
            let mut $held = $kept.take().unwrap();
            let task = $runtime.spawn(async move {
                let begun = Instant::now();
                for _ in 0..times {
                    $once.await.unwrap();
                }
                (begun.elapsed(), $held)
            });
            let (spent, back) = $runtime.block_on(task).unwrap();
            $kept = Some(back);
            spent
        })
    };
}

/// A row by its id, on the pool and from a guest that is there already. What the guest's `noop` takes is no part of the read.
fn reads(criterion: &mut Criterion) {
    for backend in Backend::ALL {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let Some(innkeeper) = runtime.block_on(Plugin::new("nothing", EngineOptions::default(), backend))
        else {
            continue;
        };
        let name = match backend {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
            Backend::MySql => "MariaDB",
        };
        let mut group = criterion.benchmark_group(format!("read a user on {name}"));
        let person = innkeeper.principal.user().unwrap().clone();
        let mut bare = Some((innkeeper.store.pool().clone(), person.to_string()));
        group.bench_function("bare", |bencher| {
            in_task!(bencher, runtime, bare, |held| select(&held.0, &held.1))
        });
        let mut store = Some((innkeeper.store.users(), Authority::Own(person.clone()), person));
        group.bench_function("store", |bencher| {
            in_task!(bencher, runtime, store, |held| held.0.get(&held.1, &held.2));
        });
        let mut live = Some(runtime.block_on(innkeeper.live()));
        for name in ["noop", "read-user"] {
            group.bench_function(BenchmarkId::new("innkeeper", name), |bencher| {
                in_task!(bencher, runtime, live, |held| held.hook(tool(name)));
            });
        }
        let arguments = json!({"times": AT_ONCE}).to_string();
        let each = BenchmarkId::new("innkeeper", format!("each of {AT_ONCE} at once"));
        group.bench_function(each, |bencher| {
            let arguments = &arguments;
            let many = || Ask::Tool { name: "read-user-at-once".into(), arguments: arguments.clone() };
            bencher.iter_custom(|reads| {
                let rounds = reads.div_ceil(AT_ONCE);
                let begun = Instant::now();
                for _ in 0..rounds {
                    runtime.block_on(live.as_mut().unwrap().hook(many())).unwrap();
                }
                begun.elapsed().mul_f64(reads as f64 / (rounds * AT_ONCE) as f64)
            });
        });
        group.finish();
    }
}

/// What the store asks for a person, in plain SQL.
async fn select(pool: &Pool, id: &str) -> sqlx::Result<()> {
    let columns = "id, name, username, email, role, profile_image_url, bio, timezone, status_emoji, status_message, \
                   last_active_at, created_at, updated_at";
    match pool {
        Pool::Sqlite(pool) => {
            let sql = sqlx::AssertSqlSafe(format!("SELECT {columns} FROM \"user\" WHERE id = ?"));
            drop(black_box(sqlx::query(sql).bind(id).fetch_one(pool).await?));
        }
        Pool::Postgres(pool) => {
            let sql = sqlx::AssertSqlSafe(format!("SELECT {columns} FROM \"user\" WHERE id = $1"));
            drop(black_box(sqlx::query(sql).bind(id).fetch_one(pool).await?));
        }
        Pool::MySql(pool) => {
            let sql = sqlx::AssertSqlSafe(format!("SELECT {columns} FROM `user` WHERE id = ?"));
            drop(black_box(sqlx::query(sql).bind(id).fetch_one(pool).await?));
        }
    }
    Ok(())
}

/// A stream filter that passes everything on.
fn chunks(criterion: &mut Criterion) {
    let runtime = one_thread();
    let innkeeper =
        runtime.block_on(Plugin::new("nothing", EngineOptions::default(), Backend::Sqlite)).unwrap();
    let mut group = criterion.benchmark_group("stream hook");
    for count in [1, 16] {
        let mut live = runtime.block_on(innkeeper.live());
        let chunks = vec![Chunk::Text("a word or two".into()); count];
        group.bench_function(BenchmarkId::new("chunks at once", count), |bencher| {
            bencher.iter(|| runtime.block_on(live.hook(Ask::Stream(chunks.clone()))).unwrap());
        });
    }
    group.finish();
}

/// Fresh calls from two threads at once, for three seconds each way, in turns.
fn two_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let innkeeper =
        runtime.block_on(Plugin::new("nothing", EngineOptions::default(), Backend::Sqlite)).unwrap();
    let bare = BarePlugin::new(&guest("nothing"), &EngineOptions::default());
    let per_second = |is_bare: bool| {
        let started = Instant::now();
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let (innkeeper, bare) = (innkeeper.clone(), bare.clone());
                runtime.spawn(async move {
                    let mut calls = 0_u64;
                    while started.elapsed().as_secs() < 3 {
                        if is_bare {
                            bare.call("one-call").await
                        } else {
                            innkeeper.call("one-call").await
                        }
                        calls += 1;
                        if calls.is_multiple_of(64) {
                            tokio::task::yield_now().await;
                        }
                    }
                    calls
                })
            })
            .collect();
        let calls: u64 = runtime.block_on(async {
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        calls as f64 / started.elapsed().as_secs_f64()
    };
    let (mut bare_rounds, mut innkeeper_rounds) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        bare_rounds.push(per_second(true));
        innkeeper_rounds.push(per_second(false));
    }
    let answers = [("bare", median(bare_rounds)), ("innkeeper", median(innkeeper_rounds))];
    keep(TWO_THREADS, "calls/s", &answers);
}

/// Memory of calls that wait for an answer.
fn waiting() {
    const CALLS: usize = 1_000;
    let runtime = one_thread();
    let engine = EngineOptions { instances: 1_400, ..EngineOptions::default() };
    let plugin = runtime.block_on(Plugin::new("ask-user", engine, Backend::Sqlite)).unwrap();
    let ask = || Ask::Tool { name: "confirm".into(), arguments: json!({"question": "?"}).to_string() };
    let local = tokio::task::LocalSet::new();
    let per_call = runtime.block_on(local.run_until(async {
        let mut running = Vec::new();
        let mut before = 0;
        for number in 0..CALLS + 100 {
            if number == 100 {
                // What the first ones take once for all is not counted.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                before = resident();
            }
            let (delivery, run) = plugin.live().await.start(ask());
            running.push((delivery, tokio::task::spawn_local(run)));
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        (resident() - before) as f64 / CALLS as f64 / 1024.0
    }));
    keep(WAITING, "KiB", &[("innkeeper", per_call)]);
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
