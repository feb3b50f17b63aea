//! Takes a script apart. Scripts are our own files: a statement ends with `;` at the end of a line, and a line that
//! begins with `--` is a comment.

/// The statements of a script, without comments.
pub(super) fn statements(script: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in script.lines().filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty())
    {
        if !statement.is_empty() {
            statement.push('\n');
        }
        statement.push_str(line.trim_end());
        if statement.ends_with(';') {
            statement.pop();
            statements.push(std::mem::take(&mut statement));
        }
    }
    if !statement.is_empty() {
        statements.push(statement);
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_with_a_semicolon_at_the_end_of_a_line() {
        let script = "-- Why; and what.\nCREATE TABLE a (\n    -- A column.\n    b TEXT DEFAULT 'x;y'\n);\n\nDROP TABLE c;\nSELECT 1";
        let expected = ["CREATE TABLE a (\n    b TEXT DEFAULT 'x;y'\n)", "DROP TABLE c", "SELECT 1"];
        assert_eq!(statements(script), expected);
        assert!(statements("-- Nothing.\n").is_empty());
    }
}
