//! Runs turns, tool calls and actions.
