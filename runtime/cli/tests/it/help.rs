//! Help, as people see it.

use crate::program::Program;

/// Every command, found as people find them: from one help to the next. A command that has others comes before them.
fn commands(program: &Program) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut at = 0;
    while let Some(command) = found.get(at).cloned() {
        let inner = inner(&help(program, &command));
        let inner = inner.into_iter().map(|name| [&command[..], &[name]].concat());
        found.splice(at + 1..at + 1, inner);
        at += 1;
    }
    found
}

fn help(program: &Program, command: &[String]) -> String {
    let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    program.run(&arguments).expect(0).out
}

/// The commands that a help lists.
fn inner(help: &str) -> Vec<String> {
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let names = listed.lines().take_while(|line| !line.is_empty());
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Commands that do something, without those that only hold others.
pub(crate) fn leaves(program: &Program) -> Vec<Vec<String>> {
    let all = commands(program);
    let holds = |command: &Vec<String>| {
        all.iter().any(|other| other.len() > command.len() && other.starts_with(command))
    };
    all.iter().filter(|command| !holds(command)).cloned().collect()
}

#[test]
fn help_says_what_there_is() {
    let program = Program::new();
    let mut all = String::new();
    for command in commands(&program) {
        let called = [&command[..], &["--help".to_owned()]].concat().join(" ");
        all.push_str(&format!("$ innkeeper {called}\n{}\n", help(&program, &command)));
    }
    insta::assert_snapshot!("help", all);
}

#[test]
fn a_command_that_makes_no_sense_ends_with_2() {
    let program = Program::new();
    for arguments in [
        &[][..],
        &["dance"],
        &["plugin"],
        &["plugin", "show"],
        &["serve", "--listne", "x"],
        &["user", "add", "--name", "x"],
    ] {
        let said = program.run(arguments);
        assert_eq!(said.code, Some(2), "{arguments:?}");
        assert!(!program.data().exists(), "{arguments:?}");
    }
}
