-- Storage of plugins.

-- What one scope holds, for its quota.
CREATE TABLE "innkeeper_kv_scope" (
    "plugin_id" varchar(64) NOT NULL,
    "scope" varchar(16) NOT NULL,
    "subject" varchar(255) NOT NULL,
    "entries" bigint NOT NULL,
    "bytes" bigint NOT NULL,
    "sequence" bigint NOT NULL,
    "expires_at" bigint,
    PRIMARY KEY ("plugin_id", "scope", "subject")
);
CREATE INDEX "innkeeper_kv_scope_scope_subject_idx" ON "innkeeper_kv_scope" ("scope", "subject");
CREATE INDEX "innkeeper_kv_scope_expires_at_idx" ON "innkeeper_kv_scope" ("expires_at");

-- One entry.
CREATE TABLE "innkeeper_kv" (
    "plugin_id" varchar(64) NOT NULL,
    "scope" varchar(16) NOT NULL,
    "subject" varchar(255) NOT NULL,
    "key" bytea NOT NULL,
    "value" bytea NOT NULL,
    "version" bigint NOT NULL,
    "expires_at" bigint,
    PRIMARY KEY ("plugin_id", "scope", "subject", "key")
);
CREATE INDEX "innkeeper_kv_expires_at_idx" ON "innkeeper_kv" ("expires_at");
