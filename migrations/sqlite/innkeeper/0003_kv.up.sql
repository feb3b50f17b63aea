-- Storage of plugins.

-- What one scope holds, for its quota.
CREATE TABLE "innkeeper_kv_scope" (
    "plugin_id" VARCHAR(64) NOT NULL,
    "scope" VARCHAR(16) NOT NULL,
    "subject" VARCHAR(255) NOT NULL,
    "entries" BIGINT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "sequence" BIGINT NOT NULL,
    "expires_at" BIGINT,
    PRIMARY KEY ("plugin_id", "scope", "subject")
);
CREATE INDEX "innkeeper_kv_scope_scope_subject_idx" ON "innkeeper_kv_scope" ("scope", "subject");
CREATE INDEX "innkeeper_kv_scope_expires_at_idx" ON "innkeeper_kv_scope" ("expires_at");

-- One entry.
CREATE TABLE "innkeeper_kv" (
    "plugin_id" VARCHAR(64) NOT NULL,
    "scope" VARCHAR(16) NOT NULL,
    "subject" VARCHAR(255) NOT NULL,
    "key" BLOB NOT NULL,
    "value" BLOB NOT NULL,
    "version" BIGINT NOT NULL,
    "expires_at" BIGINT,
    PRIMARY KEY ("plugin_id", "scope", "subject", "key")
);
CREATE INDEX "innkeeper_kv_expires_at_idx" ON "innkeeper_kv" ("expires_at");
