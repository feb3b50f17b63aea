-- Installed plugins: what the operator decided, revisions with their components, grants, valves.

-- An installed plugin with its current revision.
CREATE TABLE "innkeeper_plugin" (
    "id" VARCHAR(64) NOT NULL,
    "revision" BIGINT NOT NULL,
    "settings" TEXT NOT NULL,
    "valves" TEXT,
    "installed_at" BIGINT NOT NULL,
    "updated_at" BIGINT NOT NULL,
    PRIMARY KEY ("id")
);

-- Outlives a removed plugin: a revision's number is never used twice.
CREATE TABLE "innkeeper_plugin_sequence" (
    "plugin_id" VARCHAR(64) NOT NULL,
    "last_revision" BIGINT NOT NULL,
    PRIMARY KEY ("plugin_id")
);

-- One version of a plugin's component.
CREATE TABLE "innkeeper_plugin_revision" (
    "plugin_id" VARCHAR(64) NOT NULL,
    "revision" BIGINT NOT NULL,
    "digest" VARCHAR(64) NOT NULL,
    "size" BIGINT NOT NULL,
    "manifest" TEXT NOT NULL,
    "created_at" BIGINT NOT NULL,
    PRIMARY KEY ("plugin_id", "revision"),
    CONSTRAINT "innkeeper_plugin_revision_digest_unique" UNIQUE ("plugin_id", "digest")
);

-- A component's bytes in pieces of 1 MiB, so that none is larger than a server takes in one statement.
CREATE TABLE "innkeeper_plugin_component" (
    "plugin_id" VARCHAR(64) NOT NULL,
    "revision" BIGINT NOT NULL,
    "position" BIGINT NOT NULL,
    "bytes" BLOB NOT NULL,
    PRIMARY KEY ("plugin_id", "revision", "position")
);

-- What a plugin may do.
CREATE TABLE "innkeeper_grant" (
    "plugin_id" VARCHAR(64) NOT NULL,
    "permission" VARCHAR(64) NOT NULL,
    "document" TEXT NOT NULL,
    PRIMARY KEY ("plugin_id", "permission")
);

-- A person's settings of a plugin.
CREATE TABLE "innkeeper_user_valves" (
    "plugin_id" VARCHAR(64) NOT NULL,
    "user_id" VARCHAR(255) NOT NULL,
    "document" TEXT NOT NULL,
    PRIMARY KEY ("plugin_id", "user_id")
);
CREATE INDEX "innkeeper_user_valves_user_id_idx" ON "innkeeper_user_valves" ("user_id");

-- Numbers that only grow, such as the generation of all that servers keep in memory.
CREATE TABLE "innkeeper_counter" (
    "name" VARCHAR(64) NOT NULL,
    "value" BIGINT NOT NULL,
    PRIMARY KEY ("name")
);
