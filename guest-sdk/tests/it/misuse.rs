//! What the macros refuse, and that they say why: each file of `tests/ui` beside the compiler's output.

#[test]
fn misuse_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
