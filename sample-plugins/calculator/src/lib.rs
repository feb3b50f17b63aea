//! A tool that works out arithmetic expressions; the grammar is in `expression`.

mod expression;

use innkeeper_sdk::prelude::*;

/// Works out arithmetic expressions.
#[derive(Plugin)]
#[plugin(id = "calculator")]
struct Calculator;

#[tools]
impl Calculator {
    /// Works out an arithmetic expression and returns its value.
    /// Use it for every calculation instead of guessing.
    ///
    /// * `expression` — numbers, `+ - * / % ^`, parentheses, `pi`, `e`, and the functions `sqrt`, `abs`, `ln`, `log`, `exp`, `sin`, `cos`, `tan`, `round`, `floor`, `ceil`; for example `2 * (3 + sqrt(16))`
    #[tool(read_only)]
    async fn calculate(&self, expression: String) -> Result<f64, PluginError> {
        let value = expression::evaluate(&expression).or_fail("cannot work this out")?;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(PluginError::failed("the result is not a finite number"))
        }
    }
}
