-- Installed plugins: what the operator decided, revisions with their components, grants, valves.

-- An installed plugin with its current revision.
CREATE TABLE "innkeeper_plugin" (
    "id" varchar(64) NOT NULL,
    "revision" bigint NOT NULL,
    "settings" text NOT NULL,
    "valves" text,
    "installed_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);

-- Outlives a removed plugin: a revision's number is never used twice.
CREATE TABLE "innkeeper_plugin_sequence" (
    "plugin_id" varchar(64) NOT NULL,
    "last_revision" bigint NOT NULL,
    PRIMARY KEY ("plugin_id")
);

-- One version of a plugin's component.
CREATE TABLE "innkeeper_plugin_revision" (
    "plugin_id" varchar(64) NOT NULL,
    "revision" bigint NOT NULL,
    "digest" varchar(64) NOT NULL,
    "size" bigint NOT NULL,
    "manifest" text NOT NULL,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("plugin_id", "revision"),
    CONSTRAINT "innkeeper_plugin_revision_digest_unique" UNIQUE ("plugin_id", "digest")
);

-- A component's bytes in pieces of 1 MiB, so that none is larger than a server takes in one statement.
CREATE TABLE "innkeeper_plugin_component" (
    "plugin_id" varchar(64) NOT NULL,
    "revision" bigint NOT NULL,
    "position" bigint NOT NULL,
    "bytes" bytea NOT NULL,
    PRIMARY KEY ("plugin_id", "revision", "position")
);

-- What a plugin may do.
CREATE TABLE "innkeeper_grant" (
    "plugin_id" varchar(64) NOT NULL,
    "permission" varchar(64) NOT NULL,
    "document" text NOT NULL,
    PRIMARY KEY ("plugin_id", "permission")
);

-- A person's settings of a plugin.
CREATE TABLE "innkeeper_user_valves" (
    "plugin_id" varchar(64) NOT NULL,
    "user_id" varchar(255) NOT NULL,
    "document" text NOT NULL,
    PRIMARY KEY ("plugin_id", "user_id")
);
CREATE INDEX "innkeeper_user_valves_user_id_idx" ON "innkeeper_user_valves" ("user_id");

-- Numbers that only grow, such as the generation of all that servers keep in memory.
CREATE TABLE "innkeeper_counter" (
    "name" varchar(64) NOT NULL,
    "value" bigint NOT NULL,
    PRIMARY KEY ("name")
);
