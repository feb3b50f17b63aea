//! `calculator`: values, and mistakes with their place.

use serde_json::{Value, json};

use crate::world::{World, plugin, world};

async fn calculate(world: &World, expression: &str) -> Result<Value, String> {
    let said = world.tool("calculator", "calculate", json!({ "expression": expression })).await;
    said.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_have_their_value() {
    let world = world().plugin(plugin("calculator")).build().await;
    for (expression, expected) in [
        ("2 * (3 + sqrt(16))", json!(14.0)),
        ("-2^2", json!(-4.0)),
        (" 7 % 4 ", json!(3.0)),
        ("PI - pi", json!(0.0)),
        ("0.1 + 0.2", json!(0.1 + 0.2)),
    ] {
        assert_eq!(calculate(&world, expression).await, Ok(expected), "{expression}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_the_plugins_words() {
    let world = world().plugin(plugin("calculator")).build().await;
    let deep = |open: &str| open.repeat(100_000);
    for (expression, expected) in [
        ("1 / 0", "cannot work this out: division by zero at character 6"),
        ("5 % (2 - 2)", "cannot work this out: division by zero at character 12"),
        ("9^999", "the result is not a finite number"),
        ("1e308 * 10", "the result is not a finite number"),
        ("sqrt(-1)", "the result is not a finite number"),
        ("ln(0)", "the result is not a finite number"),
        ("", "cannot work this out: the expression ends too early at character 1"),
        ("1 +", "cannot work this out: the expression ends too early at character 4"),
        ("(1", "cannot work this out: `)` is missing at character 3"),
        ("1 2", "cannot work this out: unexpected `2` at character 3"),
        ("1.2.3", "cannot work this out: `1.2.3` is not a number at character 6"),
        ("cube(3)", "cannot work this out: `cube` is not known at character 5"),
        ("sqrt 4", "cannot work this out: `sqrt` needs parentheses at character 6"),
        (&deep("("), "cannot work this out: the expression is nested too deep at character 102"),
        (&deep("-"), "cannot work this out: the expression is nested too deep at character 102"),
        (&deep("sqrt("), "cannot work this out: the expression is nested too deep at character 506"),
        (&deep("2^"), "cannot work this out: the expression is nested too deep at character 203"),
    ] {
        let shown = &expression[..expression.len().min(20)];
        let expected = Err(format!("plugin `calculator` failed: {expected}"));
        assert_eq!(calculate(&world, expression).await, expected, "{shown}");
    }
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_very_long_expression_is_worked_out() {
    let world = world().plugin(plugin("calculator")).build().await;
    let long = format!("{}1", "1+".repeat(200_000));
    assert_eq!(calculate(&world, &long).await, Ok(json!(200_001.0)));
    world.assert_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_are_checked_before_it_runs() {
    let world = world().plugin(plugin("calculator")).build().await;
    for arguments in [json!({}), json!({ "expression": 5 }), json!({ "expresion": "1" }), json!([])] {
        let error = world.tool("calculator", "calculate", arguments.clone()).await.unwrap_err();
        assert_eq!(error.code(), "invalid_arguments", "{arguments}: {error}");
    }
    world.assert_idle().await;
}
