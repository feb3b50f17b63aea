//! What a guest can call.
