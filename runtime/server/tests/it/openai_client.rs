//! The `openai` Python package as a client.

use std::path::PathBuf;
use std::process::Command;

use innkeeper_testing::skips::skip;

use crate::world::world;

const SCRIPT: &str = r#"
import sys
from openai import NotFoundError, AuthenticationError, OpenAI

base_url, key = sys.argv[1:3]
client = OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=30)
assert [model.id for model in client.models.list()] == ["echo"], client.models.list()
assert client.models.retrieve("echo").id == "echo"
messages = [{"role": "user", "content": "hello there, world"}]

whole = client.chat.completions.create(model="echo", messages=messages)
assert whole.choices[0].message.content == "hello there, world", whole
assert whole.choices[0].finish_reason == "stop", whole

pieces = list(client.chat.completions.create(model="echo", messages=messages, stream=True))
text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
assert text == "hello there, world", pieces
assert len(pieces) > 2, pieces
assert pieces[-1].choices[0].finish_reason == "stop", pieces

with client.chat.completions.stream(model="echo", messages=messages) as stream:
    said = stream.get_final_completion().choices[0].message
assert (said.role, said.content) == ("assistant", "hello there, world"), said
messages = [*messages, said, {"role": "user", "content": "again"}]
again = client.chat.completions.create(model="echo", messages=messages)
assert again.choices[0].message.content == "again", again

try:
    client.chat.completions.create(model="nothing", messages=messages)
    raise SystemExit("an unknown model was answered")
except NotFoundError as error:
    assert error.code == "model_not_found" and error.param == "model", error

try:
    OpenAI(base_url=base_url, api_key="ik_wrong", max_retries=0).models.list()
    raise SystemExit("a wrong key was taken")
except AuthenticationError as error:
    assert error.code == "invalid_api_key", error
print("all well")
"#;

/// A Python with the package, made once and kept.
fn python() -> Result<PathBuf, String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("openai-client");
    let python = folder.join("bin/python");
    let has_package = || {
        let check = Command::new(&python).args(["-c", "import openai"]).output();
        check.is_ok_and(|output| output.status.success())
    };
    if has_package() {
        return Ok(python);
    }
    let run = |program: &str, arguments: &[&str]| {
        let output =
            Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(format!("{program} {arguments:?}: {said}")) }
    };
    run("python3", &["-m", "venv", "--clear", folder.to_str().unwrap()])?;
    run(
        python.to_str().unwrap(),
        &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "openai"],
    )?;
    if has_package() {
        Ok(python)
    } else {
        Err("the package was installed but cannot be imported".to_owned())
    }
}

#[tokio::test]
async fn the_openai_package_lists_models_and_chats() {
    let python = match tokio::task::spawn_blocking(python).await.unwrap() {
        Ok(python) => python,
        Err(problem) => {
            let reason = format!(
                "the `openai` package for Python cannot be had; install python3-venv and give pip a package index ({problem})"
            );
            return skip("the_openai_package_lists_models_and_chats", &reason);
        }
    };
    let world = world().await;
    world.install("echo", &[]).await;
    let listening = world.listen().await;
    let (url, key) = (listening.url("/v1"), world.user.key.clone());
    let output = tokio::process::Command::new(python)
        .args(["-c", SCRIPT, &url, &key])
        .env_remove("OPENAI_API_KEY")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "all well");
}
