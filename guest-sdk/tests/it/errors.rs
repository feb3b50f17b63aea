//! Errors of imports on their way through a plugin.

use std::time::Duration;

use innkeeper_sdk::bindings::innkeeper::types::common;
use innkeeper_sdk::prelude::*;

fn record(code: common::ErrorCode) -> common::Error {
    common::Error {
        code,
        message: "too many".to_owned(),
        subject: Some("host-calls".to_owned()),
        retry_after: Some(1500),
        may_have_happened: true,
        details: Some("{}".to_owned()),
    }
}

#[test]
fn an_error_goes_through_the_enum_unchanged() {
    use common::ErrorCode::{
        Cancelled, Conflict, Denied, Invalid, Other, QuotaExceeded, Timeout, Unavailable,
    };
    let codes =
        [Denied, QuotaExceeded, Invalid, Conflict, Unavailable, Timeout, Cancelled, Other("new".to_owned())];
    for code in codes {
        let before = record(code);
        let error = Error::from(before.clone());
        assert_eq!(common::Error::from(error), before);
    }
}

#[test]
fn an_error_says_what_is_known() {
    let error = Error::from(record(common::ErrorCode::QuotaExceeded));
    assert_eq!(error.to_string(), "quota exceeded (`host-calls`): too many; retry after 1500 ms");
    assert_eq!(error.failure().retry_after, Some(Duration::from_millis(1500)));
}

#[test]
fn a_question_mark_makes_any_of_them_a_plugins_error() {
    fn host() -> Result<(), PluginError> {
        Err(Error::from(record(common::ErrorCode::Denied)))?;
        Ok(())
    }
    fn json() -> Result<u8, PluginError> {
        Ok(innkeeper_sdk::serde_json::from_str("x")?)
    }
    assert!(matches!(host(), Err(PluginError::Host(error)) if error.code == common::ErrorCode::Denied));
    assert!(matches!(json(), Err(PluginError::Failed(_))));
    assert!(
        matches!("x".parse::<u8>().or_fail("count"), Err(PluginError::Failed(text)) if text.starts_with("count: "))
    );
    assert!(matches!(None::<u8>.or_reject("Which?"), Err(PluginError::Rejected(text)) if text == "Which?"));
}
