//! Machine code: kept, checked before it is used, and made in a process that cannot run away.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use innkeeper_sandbox::compile::{WorkerError, compile_worker, worker_arguments};
use innkeeper_sandbox::{Compiler, EngineOptions, LoadError, Sandbox, SandboxOptions, inspect};
use innkeeper_testing::guests::guest;

use crate::world::options;

fn sandbox(cache: &Path) -> Result<Sandbox, LoadError> {
    Sandbox::new(SandboxOptions { cache: Some(cache.to_owned()), ..options() })
}

/// The one file of machine code below a directory.
fn file(root: &Path) -> PathBuf {
    let directory = std::fs::read_dir(root).unwrap().next().unwrap().unwrap().path();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[tokio::test]
async fn machine_code_is_kept_and_damage_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("machine-code");
    let bytes = guest("calculator");
    let inspected = inspect(&bytes, 1 << 30).unwrap();
    sandbox(&cache).unwrap().load(&bytes).await.unwrap();
    let whole = std::fs::read(file(&cache)).unwrap();
    let cached = async || sandbox(&cache).unwrap().load_cached(&inspected.digest, inspected.kinds).await;
    assert!(cached().await.is_some());
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    for damaged in [
        Vec::new(),
        whole[..31].to_vec(),
        whole[..middle].to_vec(),
        flipped,
        vec![0; whole.len()],
        [whole.clone(), vec![0]].concat(),
    ] {
        std::fs::write(file(&cache), &damaged).unwrap();
        assert!(cached().await.is_none(), "{} bytes", damaged.len());
        sandbox(&cache).unwrap().load(&bytes).await.unwrap();
        assert_eq!(std::fs::read(file(&cache)).unwrap(), whole, "made anew");
    }
    // Another plugin's machine code under this one's name.
    let other = guest("echo");
    let other_root = root.path().join("other");
    sandbox(&other_root).unwrap().load(&other).await.unwrap();
    std::fs::copy(file(&other_root), file(&cache)).unwrap();
    assert!(cached().await.is_none());
    assert!(sandbox(&cache).unwrap().load_cached("../../etc/passwd", inspected.kinds).await.is_none());
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_cache_that_others_can_write_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("machine-code");
    std::fs::create_dir(&cache).unwrap();
    for mode in [0o777, 0o770, 0o702] {
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = sandbox(&cache).err().unwrap();
        assert!(matches!(error, LoadError::Cache(_)) && error.to_string().contains("chmod 700"), "{error}");
    }
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox(&cache).unwrap();
    std::fs::write(root.path().join("file"), "").unwrap();
    assert!(matches!(sandbox(&root.path().join("file")).err().unwrap(), LoadError::Cache(_)));
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_nothing_but_time() {
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("machine-code");
    let sandbox = sandbox(&cache).unwrap();
    let inner = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    // In its place a file, so that nothing can be made below it, whoever runs this.
    std::fs::remove_dir(&inner).unwrap();
    std::fs::write(&inner, "").unwrap();
    sandbox.load(&guest("calculator")).await.unwrap();
}

fn program(directory: &Path, script: &str) -> Compiler {
    let path = directory.join("compiler");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    Compiler::Program { path, arguments: vec!["argument".into()] }
}

async fn compiled_by(script: &str, timeout: Duration) -> Result<(), String> {
    let root = tempfile::tempdir().unwrap();
    let (compiler, bytes) = (program(root.path(), script), guest("calculator"));
    let made = SandboxOptions { cache: None, compiler, compile_timeout: timeout, ..options() };
    let sandbox = Sandbox::new(made).unwrap();
    sandbox.load(&bytes).await.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_compiler_in_a_process_of_its_own_is_killed_in_time_and_heard_where_it_fails() {
    let check = async |script: &str, expected: &str| {
        let error = compiled_by(script, Duration::from_secs(4)).await.unwrap_err();
        assert!(error.contains(expected) && !error.contains('\u{1b}'), "{script}: {error:.500}");
    };
    let before = Instant::now();
    check("exec sleep 60", "longer than 4 seconds").await;
    check("cat > /dev/null; head -c 20000000 /dev/zero", "bytes; make it smaller").await;
    assert!(before.elapsed() < Duration::from_secs(20));
    check("cat > /dev/null; printf 'no \\033[31mway' >&2; exit 1", "no \\u{1b}[31mway").await;
    check("exit 3", "the compiler's process was ended").await;
    check("kill -9 $$", "the compiler's process was ended").await;
    check("cat > /dev/null; head -c 100000 /dev/zero >&2; exit 1", "does not compile").await;
    check("cat > /dev/null; echo not machine code", "does not compile").await;
    check("cat", "does not compile").await;
    // It sees nothing of the server's environment.
    check(
        "cat > /dev/null; env | grep -v -e ^PWD -e ^_ -e ^SHLVL >&2; echo end >&2; exit 1",
        "does not compile: end",
    )
    .await;
}

#[tokio::test]
async fn a_compiler_that_does_not_start_says_so() {
    let compiler = Compiler::Program { path: "/nonexistent/compiler".into(), arguments: Vec::new() };
    let sandbox = Sandbox::new(SandboxOptions { cache: None, compiler, ..options() }).unwrap();
    let error = sandbox.load(&guest("calculator")).await.unwrap_err().to_string();
    assert!(error.contains("/nonexistent/compiler"), "{error}");
}

#[tokio::test]
async fn a_compiler_on_a_thread_is_given_up_in_time() {
    let made = SandboxOptions { cache: None, compile_timeout: Duration::from_millis(1), ..options() };
    let sandbox = Sandbox::new(made).unwrap();
    let error = sandbox.load(&guest("redaction")).await.unwrap_err();
    assert!(matches!(error, LoadError::CompileTime(_)), "{error}");
}

#[tokio::test]
async fn what_the_worker_makes_runs_in_the_pool() {
    let root = tempfile::tempdir().unwrap();
    let bytes = guest("calculator");
    let code = compile_worker(&bytes).unwrap();
    std::fs::write(root.path().join("code"), code).unwrap();
    let script = format!("cat > /dev/null; cat {}", root.path().join("code").display());
    let compiler = program(root.path(), &script);
    let sandbox = Sandbox::new(SandboxOptions { cache: None, compiler, ..options() }).unwrap();
    let plugin = sandbox.load(&bytes).await.unwrap();
    assert_eq!(sandbox.describe(&plugin).await.unwrap().id.as_str(), "calculator");
}

/// The program that does what the server's hidden subcommand does; cargo builds it with the tests.
fn worker(memory: Option<u64>) -> Compiler {
    let arguments = memory.map_or_else(worker_arguments, |memory| vec![memory.to_string()]);
    let directory = std::env::current_exe().unwrap();
    let path = directory.parent().unwrap().parent().unwrap().join("examples/compile_worker");
    assert!(path.is_file(), "build it with `cargo build -p innkeeper-sandbox --example compile_worker`");
    Compiler::Program { path, arguments }
}

#[tokio::test]
async fn the_worker_compiles_and_its_memory_is_bounded() {
    let sandbox = |compiler| Sandbox::new(SandboxOptions { cache: None, compiler, ..options() }).unwrap();
    let bytes = guest("calculator");
    let made = sandbox(worker(None));
    let plugin = made.load(&bytes).await.unwrap();
    assert_eq!(made.describe(&plugin).await.unwrap().id.as_str(), "calculator");
    let error = sandbox(worker(Some(8 << 20))).load(&bytes).await.unwrap_err();
    assert!(matches!(error, LoadError::Compile(_)), "{error}");
}

#[tokio::test]
async fn the_worker_takes_what_the_operator_allows_and_makes_machine_code_for_any_stack() {
    let mut bytes = guest("calculator");
    // A section that nobody reads: its id, its length, and that of its name.
    let length = 65_u32 << 20;
    bytes.push(0);
    bytes.extend(
        [0, 7, 14, 21].map(|shift| (length >> shift) as u8 & 0x7f | if shift < 21 { 0x80 } else { 0 }),
    );
    bytes.resize(bytes.len() + length as usize, 0);
    let engine = EngineOptions { stack: 128 << 10, max_memory: 32 << 20, ..options().engine };
    let made = |component_max| {
        let (cache, compiler) = (None, worker(None));
        Sandbox::new(SandboxOptions { engine: engine.clone(), cache, compiler, component_max, ..options() })
            .unwrap()
    };
    assert!(matches!(made(64 << 20).load(&bytes).await, Err(LoadError::Inspect(_))));
    let sandbox = made(80 << 20);
    let plugin = sandbox.load(&bytes).await.unwrap();
    assert_eq!(sandbox.describe(&plugin).await.unwrap().id.as_str(), "calculator");
}

#[test]
fn the_worker_refuses_what_is_no_component() {
    assert!(matches!(compile_worker(b"nothing"), Err(LoadError::Compile(_))));
    let error = innkeeper_sandbox::compile::worker_main(&["x".into()], &b""[..], Vec::new()).unwrap_err();
    assert!(matches!(error, WorkerError::Argument(_)), "{error}");
}
