//! People and keys.

use serde_json::json;

use crate::program::Program;

#[test]
fn a_person_gets_a_key_that_is_shown_once() {
    let program = Program::new();
    let user =
        program.json(&["user", "add", "--name", "Ada", "--email", "ada@example.org", "--role", "admin"]);
    assert_eq!((&user["role"], &user["email"]), (&json!("admin"), &json!("ada@example.org")));
    let by_address = program.json(&["key", "create", "--user", "ADA@example.org", "--name", "laptop"]);
    assert!(by_address["secret"].as_str().unwrap().starts_with("ik_"));
    let by_id = program.run(&["key", "create", "--user", user["id"].as_str().unwrap()]).expect(0).out;
    assert!(by_id.starts_with("ik_"), "{by_id}");
    let listed = program.run(&["key", "list", "--json"]).expect(0);
    assert_eq!(listed.json()["data"].as_array().unwrap().len(), 2);
    assert!(!listed.out.contains("ik_"), "{}", listed.out);
    program.run(&["key", "revoke", by_address["id"].as_str().unwrap()]).expect(0);
    program.run(&["key", "revoke", by_address["id"].as_str().unwrap()]).expect(1);
}

#[test]
fn what_cannot_be_added_says_why() {
    let program = Program::new();
    let add = |email: &str, role: &str| {
        program.run(&["user", "add", "--name", "A", "--email", email, "--role", role])
    };
    add("a@example.org", "user").expect(0);
    let taken = add("A@example.org", "user").expect(1);
    assert!(taken.err.contains("somebody has the address `A@example.org` already"), "{}", taken.err);
    add("b@example.org", "king").expect(2);
    add("p@example.org", "pending").expect(0);
    let pending = program.run(&["key", "create", "--user", "p@example.org"]).expect(1);
    assert!(pending.err.contains("is `pending` and may have no key"), "{}", pending.err);
    let nobody = program.run(&["key", "create", "--user", "x\u{1b}[31m"]).expect(1);
    assert!(!nobody.err.contains('\u{1b}') && nobody.err.contains("there is nobody"), "{}", nobody.err);
}
