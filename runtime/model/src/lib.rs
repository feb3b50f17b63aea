//! Plain types and ids.
