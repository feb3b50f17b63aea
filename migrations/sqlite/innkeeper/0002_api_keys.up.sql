-- Keys that programs use to log in; only hashes of them.

-- A key.
CREATE TABLE "innkeeper_api_key" (
    "id" VARCHAR(64) NOT NULL,
    "user_id" VARCHAR(255) NOT NULL,
    "name" TEXT NOT NULL,
    "hash" VARCHAR(64) NOT NULL,
    "created_at" BIGINT NOT NULL,
    PRIMARY KEY ("id"),
    CONSTRAINT "innkeeper_api_key_hash_unique" UNIQUE ("hash")
);
CREATE INDEX "innkeeper_api_key_user_id_idx" ON "innkeeper_api_key" ("user_id");
