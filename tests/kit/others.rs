//! Programs and libraries of others that tests need.

/// Names what a machine does without, with commas between: `GYRE_LEAVE_OUT=swaks,postfix`.
const VARIABLE: &str = "GYRE_LEAVE_OUT";

/// Says that what needs this was not tried.
///
/// # Panics
///
/// Unless the machine was said to do without it: a test that tried nothing has shown nothing.
pub fn left_out(what: &str) {
    let named = std::env::var(VARIABLE).unwrap_or_default();
    assert!(
        named.split(',').any(|name| name == what),
        "{what} is not here. Install it, or name it in {VARIABLE} to leave out what needs it."
    );
    println!("{what} is not here: what needs it was left out");
}
