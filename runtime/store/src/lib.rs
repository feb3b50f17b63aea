//! SQL pools, repositories and migrations.
