//! Orders: which host call to make, with what, where and how often.

use innkeeper_sdk::prelude::*;
use innkeeper_sdk::schemars::{self, JsonSchema};
use innkeeper_sdk::serde::{self, Deserialize};
use innkeeper_sdk::serde_json::{self, Value, json};

use crate::import;

/// Where to make the call.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(crate = "self::serde", rename_all = "kebab-case")]
#[schemars(crate = "self::schemars")]
pub(crate) enum Place {
    /// While the tool, the action or the job runs.
    Call,
    /// After the result has been delivered; what came of it goes to the log, and to the key that `args.report` names.
    Background,
    /// While the pipe works out its reply.
    Run,
    /// While the pipe lists its models; the valve `job` holds the order.
    Models,
    /// While the pipe feeds its stream; the import `chunks` sends the pieces in `args.chunks`.
    Feed,
    /// The filter's hooks. On pieces the import `chunks` adds those in `args.chunks`.
    Inlet,
    Request,
    Stream,
    Outlet,
}

/// One order, as JSON: `{"import": "kv.get", "args": {…}, "place": "run", "times": 1}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(crate = "self::serde")]
pub(crate) struct Order {
    pub(crate) import: String,
    #[serde(default)]
    pub(crate) args: Value,
    #[serde(default = "call")]
    pub(crate) place: Place,
    pub(crate) times: Option<usize>,
}

fn call() -> Place {
    Place::Call
}

impl Order {
    /// `None` for text that is no order.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text.trim()).ok()
    }

    /// The imports `reject` and `fail`, which only the filter's hooks know: they return `args.text` as that error.
    pub(crate) fn refuse(&self) -> Result<(), PluginError> {
        let text = self.args["text"].as_str().unwrap_or_default();
        match self.import.as_str() {
            "reject" => Err(PluginError::rejected(text)),
            "fail" => Err(PluginError::failed(text)),
            _ => Ok(()),
        }
    }

    /// Makes the call: `{"ok": …}`, `{"error": {…}}` as the host refused it, or `{"bad": "…"}` where the order makes no sense.
    /// With `times`, a list of these.
    pub(crate) async fn obey(&self, invocation: &Invocation) -> Value {
        if self.import == "invocation" {
            return json!({ "ok": invocation });
        }
        self.obey_alone().await
    }

    /// The same where there is no invocation.
    pub(crate) async fn obey_alone(&self) -> Value {
        match self.times {
            None => import::perform(&self.import, &self.args).await,
            Some(times) => {
                let calls = (0..times).map(|_| import::perform(&self.import, &self.args));
                Value::Array(futures::future::join_all(calls).await)
            }
        }
    }

    /// Makes the call after the result has been delivered, and says at once that it will.
    pub(crate) fn in_background(self, invocation: Invocation) -> Value {
        spawn(async move {
            let answer = self.obey(&invocation).await;
            if let Some(key) = self.args.get("report").and_then(Value::as_str) {
                let reported = kv::User.set_json(key, &answer, None).await;
                log::line(log::Level::Info, "reported", &[("outcome", &format!("{reported:?}"))]);
            }
            log::line(log::Level::Info, "background", &[("answer", &answer.to_string())]);
        });
        json!({ "ok": "later" })
    }
}
