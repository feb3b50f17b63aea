//! How the demo prints: what goes in, what comes out, what it cost.
#![expect(clippy::print_stdout, reason = "what is printed here is the demo's result")]

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

pub(super) fn heading(text: &str) {
    println!("\n━━ {text}");
}

pub(super) fn sent(text: &str) {
    println!("   sent      {text}");
}

pub(super) fn received(text: &str) {
    println!("   received  {text}");
}

/// A piece of an answer, as it arrives.
pub(super) fn piece(number: usize, text: &str) {
    if number == 0 {
        print!("   streamed  ");
    }
    print!("{text}·");
    // A terminal that cannot show it yet shows it with the next line.
    let _ = std::io::stdout().flush();
}

pub(super) fn end_of_pieces(count: usize) {
    println!("\n             ({count} pieces)");
}

/// The parts of a tool's or an action's result.
pub(super) fn content(result: &Value) {
    for part in result.get("content").and_then(Value::as_array).into_iter().flatten() {
        let shown = ["text", "value", "summary", "id"].iter().find_map(|field| part.get(*field));
        let shown = shown.map(|shown| shown.as_str().map_or_else(|| shown.to_string(), str::to_owned));
        let kind = part.get("type").and_then(Value::as_str).unwrap_or("?");
        println!("   received  {kind}: {}", shown.unwrap_or_default());
    }
}

/// One line per call: how it ended and what it used.
pub(super) fn receipt(receipt: &Value) {
    let text = |field: &str| receipt.get(field).and_then(Value::as_str).unwrap_or("?");
    let used =
        |field: &str| receipt.pointer(&format!("/delivered/{field}")).and_then(Value::as_u64).unwrap_or(0);
    let calls = receipt.pointer("/delivered/host_calls").and_then(Value::as_object);
    let calls: u64 = calls.into_iter().flat_map(|calls| calls.values()).filter_map(Value::as_u64).sum();
    println!(
        "   receipt   {:<12} {:<14} {:<9} fuel {:>10}  active {:>8} µs  waiting {:>8} µs  peak {:>5} KiB  host calls {calls}",
        text("plugin"),
        text("export"),
        text("outcome"),
        used("fuel"),
        used("active_us"),
        used("waiting_us"),
        used("peak_memory") / 1024,
    );
}

/// What to try next.
pub(super) fn way_on(port: u16, key: &str, data_dir: &Path) {
    println!(
        "\n━━ The server goes on until Ctrl-C\n   \
           OpenAI clients  http://127.0.0.1:{port}/v1\n   \
           API             http://127.0.0.1:{port}/api (described by /api/openapi.json)\n   \
           API key         {key}\n   \
           data            {}\n\n   \
           curl -N http://127.0.0.1:{port}/v1/chat/completions -H 'Authorization: Bearer {key}' \\\n     \
             -H 'Content-Type: application/json' \\\n     \
             -d '{{\"model\": \"echo\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \"hello\"}}]}}'",
        data_dir.display()
    );
}
