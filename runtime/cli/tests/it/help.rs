//! Help, as people see it.

use crate::program::Program;

#[test]
fn help_says_what_there_is() {
    let program = Program::new();
    let commands: &[&[&str]] = &[
        &[],
        &["serve"],
        &["plugin"],
        &["plugin", "install"],
        &["plugin", "list"],
        &["plugin", "show"],
        &["plugin", "grant"],
        &["plugin", "revoke"],
        &["plugin", "enable"],
        &["plugin", "disable"],
        &["plugin", "remove"],
        &["plugin", "valves"],
        &["plugin", "call"],
        &["user", "add"],
        &["key", "create"],
        &["db"],
        &["db", "current"],
        &["db", "upgrade"],
        &["db", "preview"],
    ];
    let mut all = String::new();
    for command in commands {
        let arguments = [*command, &["--help"]].concat();
        let help = program.run(&arguments).expect(0).out;
        all.push_str(&format!("$ innkeeper {}\n{help}\n", arguments.join(" ")));
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
