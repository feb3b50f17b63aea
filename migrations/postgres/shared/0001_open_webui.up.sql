-- Open WebUI 0.12.4's tables, with its names, columns and indexes.
-- The engine runs this on an empty database only.

CREATE TABLE "access_grant" (
    "id" text NOT NULL,
    "resource_type" text NOT NULL,
    "resource_id" text NOT NULL,
    "principal_type" text NOT NULL,
    "principal_id" text NOT NULL,
    "permission" text NOT NULL,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    CONSTRAINT "uq_access_grant_grant" UNIQUE ("resource_type", "resource_id", "principal_type", "principal_id", "permission")
);
CREATE INDEX "idx_access_grant_principal" ON "access_grant" ("principal_type", "principal_id");
CREATE INDEX "idx_access_grant_resource" ON "access_grant" ("resource_type", "resource_id");

CREATE TABLE "alembic_version" (
    "version_num" varchar(32) NOT NULL,
    CONSTRAINT "alembic_version_pkc" PRIMARY KEY ("version_num")
);
-- Open WebUI 0.12.4 finds nothing left to do here, should it be pointed at this database.
INSERT INTO "alembic_version" ("version_num") VALUES ('0bd252b206fb');

CREATE TABLE "user" (
    "id" varchar NOT NULL,
    "name" varchar,
    "email" varchar,
    "role" varchar,
    "profile_image_url" text,
    "last_active_at" bigint,
    "updated_at" bigint,
    "created_at" bigint,
    "username" varchar(50),
    "bio" text,
    "gender" text,
    "date_of_birth" date,
    "profile_banner_image_url" text,
    "timezone" varchar,
    "presence_state" varchar,
    "status_emoji" varchar,
    "status_message" text,
    "status_expires_at" bigint,
    "oauth" json,
    "info" json,
    "settings" json,
    "scim" json,
    "variables" json,
    PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "uq_user_email_lower" ON "user" (lower("email")) WHERE "email" IS NOT NULL;

CREATE TABLE "api_key" (
    "id" text NOT NULL,
    "user_id" text,
    "key" text NOT NULL,
    "data" json,
    "expires_at" bigint,
    "last_used_at" bigint,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    FOREIGN KEY ("user_id") REFERENCES "user" ("id") ON DELETE CASCADE,
    UNIQUE ("key")
);

CREATE TABLE "app" (
    "id" text NOT NULL,
    "slug" text NOT NULL,
    "name" text NOT NULL,
    "user_id" text,
    "is_active" boolean NOT NULL DEFAULT FALSE,
    "data" json NOT NULL,
    "api_key" text,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    UNIQUE ("slug")
);

CREATE TABLE "auth" (
    "id" varchar NOT NULL,
    "email" varchar,
    "password" text,
    "active" boolean,
    "mfa" json,
    "session_stamp" text,
    PRIMARY KEY ("id")
);

CREATE TABLE "automation" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "name" text NOT NULL,
    "data" json NOT NULL,
    "meta" json,
    "is_active" boolean NOT NULL,
    "last_run_at" bigint,
    "next_run_at" bigint,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    "folder_id" text,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_automation_next_run" ON "automation" ("next_run_at");
CREATE INDEX "ix_automation_user_folder" ON "automation" ("user_id", "folder_id");

CREATE TABLE "automation_run" (
    "id" text NOT NULL,
    "automation_id" text NOT NULL,
    "chat_id" text,
    "status" text NOT NULL,
    "error" text,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_automation_run_automation_id" ON "automation_run" ("automation_id");

CREATE TABLE "calendar" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "name" text NOT NULL,
    "color" text,
    "is_default" boolean NOT NULL,
    "data" json,
    "meta" json,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_calendar_user" ON "calendar" ("user_id");

CREATE TABLE "calendar_event" (
    "id" text NOT NULL,
    "calendar_id" text NOT NULL,
    "user_id" text NOT NULL,
    "title" text NOT NULL,
    "description" text,
    "start_at" bigint NOT NULL,
    "end_at" bigint,
    "all_day" boolean NOT NULL,
    "rrule" text,
    "color" text,
    "location" text,
    "data" json,
    "meta" json,
    "is_cancelled" boolean NOT NULL,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_calendar_event_calendar" ON "calendar_event" ("calendar_id", "start_at");
CREATE INDEX "ix_calendar_event_user_date" ON "calendar_event" ("user_id", "start_at");

CREATE TABLE "calendar_event_attendee" (
    "id" text NOT NULL,
    "event_id" text NOT NULL,
    "user_id" text NOT NULL,
    "status" text NOT NULL,
    "meta" json,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    CONSTRAINT "uq_event_attendee" UNIQUE ("event_id", "user_id")
);
CREATE INDEX "ix_calendar_event_attendee_user" ON "calendar_event_attendee" ("user_id", "status");

CREATE TABLE "channel" (
    "id" text NOT NULL,
    "user_id" text,
    "name" text,
    "description" text,
    "data" json,
    "meta" json,
    "created_at" bigint,
    "updated_at" bigint,
    "type" text,
    "is_private" boolean,
    "archived_at" bigint,
    "archived_by" text,
    "deleted_at" bigint,
    "deleted_by" text,
    "updated_by" text,
    PRIMARY KEY ("id")
);

CREATE TABLE "message" (
    "id" text NOT NULL,
    "user_id" text,
    "channel_id" text,
    "content" text,
    "data" json,
    "meta" json,
    "created_at" bigint,
    "updated_at" bigint,
    "parent_id" text,
    "reply_to_id" text,
    "is_pinned" boolean NOT NULL DEFAULT FALSE,
    "pinned_at" bigint,
    "pinned_by" text,
    "app_id" text,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_message_app" ON "message" ("app_id");

CREATE TABLE "file" (
    "id" varchar NOT NULL,
    "user_id" varchar,
    "filename" text,
    "meta" json,
    "created_at" bigint,
    "hash" text,
    "data" json,
    "updated_at" bigint,
    "path" text,
    PRIMARY KEY ("id")
);
CREATE INDEX "file_pending_knowledge_idx" ON "file" (("meta" -> 'data' ->> 'knowledge_id'))
    WHERE "data" ->> 'status' IN ('pending', 'processing');

CREATE TABLE "channel_file" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "channel_id" text NOT NULL,
    "file_id" text NOT NULL,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    "message_id" text,
    PRIMARY KEY ("id"),
    CONSTRAINT "uq_channel_file_channel_file" UNIQUE ("channel_id", "file_id"),
    CONSTRAINT "fk_channel_file_message_id" FOREIGN KEY ("message_id") REFERENCES "message" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("channel_id") REFERENCES "channel" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("file_id") REFERENCES "file" ("id") ON DELETE CASCADE
);
CREATE INDEX "ix_channel_file_channel_id" ON "channel_file" ("channel_id");
CREATE INDEX "ix_channel_file_file_id" ON "channel_file" ("file_id");
CREATE INDEX "ix_channel_file_user_id" ON "channel_file" ("user_id");

CREATE TABLE "channel_member" (
    "id" text NOT NULL,
    "channel_id" text NOT NULL,
    "user_id" text,
    "created_at" bigint,
    "status" text,
    "is_active" boolean NOT NULL DEFAULT TRUE,
    "is_channel_muted" boolean NOT NULL DEFAULT FALSE,
    "is_channel_pinned" boolean NOT NULL DEFAULT FALSE,
    "data" json,
    "meta" json,
    "joined_at" bigint NOT NULL,
    "left_at" bigint,
    "last_read_at" bigint,
    "updated_at" bigint,
    "role" text,
    "invited_by" text,
    "invited_at" bigint,
    "app_id" text,
    PRIMARY KEY ("id"),
    CONSTRAINT "ck_channel_member_identity" CHECK (("user_id" IS NULL) <> ("app_id" IS NULL)),
    CONSTRAINT "uq_channel_member_app" UNIQUE ("channel_id", "app_id")
);
CREATE INDEX "ix_channel_member_app_active" ON "channel_member" ("app_id", "is_active");

CREATE TABLE "channel_webhook" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "channel_id" text NOT NULL,
    "name" text NOT NULL,
    "profile_image_url" text,
    "token" text NOT NULL,
    "last_used_at" bigint,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    FOREIGN KEY ("channel_id") REFERENCES "channel" ("id") ON DELETE CASCADE
);

CREATE TABLE "chat" (
    "id" varchar NOT NULL,
    "user_id" varchar,
    "title" text,
    "created_at" bigint,
    "updated_at" bigint,
    "share_id" text,
    "archived" boolean,
    "chat" json,
    "pinned" boolean,
    "meta" json NOT NULL DEFAULT '{}',
    "folder_id" text,
    "tasks" json,
    "summary" text,
    "last_read_at" bigint,
    "current_message_id" text,
    "variables" json,
    "timer_at" bigint,
    PRIMARY KEY ("id"),
    UNIQUE ("share_id")
);
CREATE INDEX "folder_id_idx" ON "chat" ("folder_id");
CREATE INDEX "folder_id_user_id_idx" ON "chat" ("folder_id", "user_id");
CREATE INDEX "timer_at_idx" ON "chat" ("timer_at") WHERE "timer_at" IS NOT NULL;
CREATE INDEX "updated_at_user_id_idx" ON "chat" ("updated_at", "user_id");
CREATE INDEX "user_id_archived_idx" ON "chat" ("user_id", "archived");
CREATE INDEX "user_id_folder_unread_idx" ON "chat" ("user_id", "folder_id", "archived", "updated_at", "last_read_at", "id");
CREATE INDEX "user_id_pinned_idx" ON "chat" ("user_id", "pinned");
CREATE INDEX "user_id_timer_at_idx" ON "chat" ("user_id", "timer_at") WHERE "timer_at" IS NOT NULL;
CREATE INDEX "user_id_updated_at_id_idx" ON "chat" ("user_id", "updated_at" DESC, "id");

CREATE TABLE "chat_file" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "chat_id" text NOT NULL,
    "file_id" text NOT NULL,
    "message_id" text,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    CONSTRAINT "uq_chat_file_chat_file" UNIQUE ("chat_id", "file_id"),
    FOREIGN KEY ("chat_id") REFERENCES "chat" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("file_id") REFERENCES "file" ("id") ON DELETE CASCADE
);
CREATE INDEX "ix_chat_file_chat_id" ON "chat_file" ("chat_id");
CREATE INDEX "ix_chat_file_file_id" ON "chat_file" ("file_id");
CREATE INDEX "ix_chat_file_message_id" ON "chat_file" ("message_id");
CREATE INDEX "ix_chat_file_user_id" ON "chat_file" ("user_id");

CREATE TABLE "chat_message" (
    "id" text NOT NULL,
    "chat_id" text NOT NULL,
    "user_id" text,
    "role" text NOT NULL,
    "parent_id" text,
    "content" json,
    "output" json,
    "model_id" text,
    "files" json,
    "sources" json,
    "embeds" json,
    "done" boolean,
    "status_history" json,
    "error" json,
    "usage" json,
    "created_at" bigint,
    "updated_at" bigint,
    "context_summary" text,
    "meta" json,
    PRIMARY KEY ("id"),
    FOREIGN KEY ("chat_id") REFERENCES "chat" ("id") ON DELETE CASCADE
);
CREATE INDEX "chat_message_chat_parent_idx" ON "chat_message" ("chat_id", "parent_id");
CREATE INDEX "chat_message_chat_role_done_idx" ON "chat_message" ("chat_id", "role", "done");
CREATE INDEX "chat_message_model_created_idx" ON "chat_message" ("model_id", "created_at");
CREATE INDEX "chat_message_user_created_idx" ON "chat_message" ("user_id", "created_at");
CREATE INDEX "ix_chat_message_chat_id" ON "chat_message" ("chat_id");
CREATE INDEX "ix_chat_message_created_at" ON "chat_message" ("created_at");
CREATE INDEX "ix_chat_message_model_id" ON "chat_message" ("model_id");
CREATE INDEX "ix_chat_message_user_id" ON "chat_message" ("user_id");

CREATE TABLE "chatidtag" (
    "id" varchar NOT NULL,
    "tag_name" varchar,
    "chat_id" varchar,
    "user_id" varchar,
    "timestamp" bigint,
    PRIMARY KEY ("id")
);

CREATE TABLE "config" (
    "key" text NOT NULL,
    "value" json NOT NULL,
    "updated_at" bigint,
    CONSTRAINT "config_pkey1" PRIMARY KEY ("key")
);

CREATE SEQUENCE "config_id_seq" AS integer;

CREATE TABLE "config_old" (
    "id" integer NOT NULL DEFAULT nextval('config_id_seq'),
    "data" json NOT NULL,
    "version" integer NOT NULL,
    "created_at" timestamp NOT NULL DEFAULT now(),
    "updated_at" timestamp DEFAULT now(),
    CONSTRAINT "config_pkey" PRIMARY KEY ("id")
);
ALTER SEQUENCE "config_id_seq" OWNED BY "config_old"."id";

CREATE TABLE "document" (
    "collection_name" varchar NOT NULL,
    "name" varchar,
    "title" text,
    "filename" text,
    "content" text,
    "user_id" varchar,
    "timestamp" bigint,
    PRIMARY KEY ("collection_name"),
    UNIQUE ("name")
);

CREATE TABLE "feedback" (
    "id" text NOT NULL,
    "user_id" text,
    "version" bigint,
    "type" text,
    "data" json,
    "meta" json,
    "snapshot" json,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);

CREATE TABLE "folder" (
    "id" text NOT NULL,
    "parent_id" text,
    "user_id" text NOT NULL,
    "name" text NOT NULL,
    "items" json,
    "meta" json,
    "is_expanded" boolean NOT NULL,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    "data" json,
    PRIMARY KEY ("id", "user_id")
);

CREATE TABLE "function" (
    "id" varchar NOT NULL,
    "user_id" varchar,
    "name" text,
    "type" text,
    "content" text,
    "meta" text,
    "valves" text,
    "is_active" boolean,
    "is_global" boolean,
    "updated_at" bigint,
    "created_at" bigint,
    "version_id" text,
    PRIMARY KEY ("id")
);
CREATE INDEX "is_global_idx" ON "function" ("is_global");

CREATE TABLE "function_history" (
    "id" text NOT NULL,
    "function_id" text NOT NULL,
    "parent_id" text,
    "snapshot" json NOT NULL,
    "user_id" text NOT NULL,
    "commit_message" text,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_function_history_function_id" ON "function_history" ("function_id");

CREATE TABLE "group" (
    "id" text NOT NULL,
    "user_id" text,
    "name" text,
    "description" text,
    "data" json,
    "meta" json,
    "permissions" json,
    "created_at" bigint,
    "updated_at" bigint,
    "parent_group_id" text,
    PRIMARY KEY ("id"),
    CONSTRAINT "fk_group_parent" FOREIGN KEY ("parent_group_id") REFERENCES "group" ("id") ON DELETE SET NULL
);
CREATE INDEX "ix_group_parent_group_id" ON "group" ("parent_group_id");

CREATE TABLE "group_member" (
    "id" text NOT NULL,
    "group_id" text NOT NULL,
    "user_id" text NOT NULL,
    "created_at" bigint,
    "updated_at" bigint,
    PRIMARY KEY ("id"),
    CONSTRAINT "uq_group_member_group_user" UNIQUE ("group_id", "user_id"),
    FOREIGN KEY ("group_id") REFERENCES "group" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("user_id") REFERENCES "user" ("id") ON DELETE CASCADE
);
CREATE INDEX "ix_group_member_user_id_group_id" ON "group_member" ("user_id", "group_id");

CREATE TABLE "knowledge" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "name" text NOT NULL,
    "description" text,
    "meta" json,
    "created_at" bigint NOT NULL,
    "updated_at" bigint,
    "data" json,
    PRIMARY KEY ("id")
);

CREATE TABLE "knowledge_directory" (
    "id" text NOT NULL,
    "knowledge_id" text NOT NULL,
    "parent_id" text,
    "name" text NOT NULL,
    "user_id" text NOT NULL,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    FOREIGN KEY ("knowledge_id") REFERENCES "knowledge" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("parent_id") REFERENCES "knowledge_directory" ("id") ON DELETE CASCADE,
    CONSTRAINT "uq_knowledge_directory_knowledge_parent_name" UNIQUE ("knowledge_id", "parent_id", "name")
);
CREATE INDEX "ix_knowledge_directory_knowledge_id" ON "knowledge_directory" ("knowledge_id");
CREATE INDEX "ix_knowledge_directory_parent_id" ON "knowledge_directory" ("parent_id");

CREATE TABLE "knowledge_file" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "knowledge_id" text NOT NULL,
    "file_id" text NOT NULL,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    "directory_id" text,
    PRIMARY KEY ("id"),
    CONSTRAINT "uq_knowledge_file_knowledge_file" UNIQUE ("knowledge_id", "file_id"),
    CONSTRAINT "fk_knowledge_file_directory_id" FOREIGN KEY ("directory_id") REFERENCES "knowledge_directory" ("id") ON DELETE SET NULL,
    FOREIGN KEY ("file_id") REFERENCES "file" ("id") ON DELETE CASCADE,
    FOREIGN KEY ("knowledge_id") REFERENCES "knowledge" ("id") ON DELETE CASCADE
);
CREATE INDEX "ix_knowledge_file_directory_id" ON "knowledge_file" ("directory_id");
CREATE INDEX "ix_knowledge_file_file_id" ON "knowledge_file" ("file_id");
CREATE INDEX "ix_knowledge_file_knowledge_id" ON "knowledge_file" ("knowledge_id");
CREATE INDEX "ix_knowledge_file_user_id" ON "knowledge_file" ("user_id");

CREATE TABLE "memory" (
    "id" varchar NOT NULL,
    "user_id" varchar,
    "content" text,
    "updated_at" bigint,
    "created_at" bigint,
    "type" varchar NOT NULL DEFAULT 'context',
    "path" text,
    "meta" json,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_memory_id_user_id" ON "memory" ("id", "user_id");
CREATE INDEX "ix_memory_type" ON "memory" ("type");
CREATE INDEX "ix_memory_user_id" ON "memory" ("user_id");

CREATE TABLE "message_reaction" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "message_id" text NOT NULL,
    "name" text NOT NULL,
    "created_at" bigint,
    PRIMARY KEY ("id")
);

CREATE TABLE "model" (
    "id" text NOT NULL,
    "user_id" text,
    "base_model_id" text,
    "name" text,
    "params" text,
    "meta" text,
    "updated_at" bigint,
    "created_at" bigint,
    "is_active" boolean NOT NULL DEFAULT TRUE,
    "version_id" text,
    PRIMARY KEY ("id")
);

CREATE TABLE "model_history" (
    "id" text NOT NULL,
    "model_id" text NOT NULL,
    "parent_id" text,
    "snapshot" json NOT NULL,
    "user_id" text NOT NULL,
    "commit_message" text,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_model_history_model_id" ON "model_history" ("model_id");

CREATE TABLE "note" (
    "id" text NOT NULL,
    "user_id" text,
    "title" text,
    "data" json,
    "meta" json,
    "created_at" bigint,
    "updated_at" bigint,
    PRIMARY KEY ("id")
);

CREATE TABLE "oauth_session" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "provider" text NOT NULL,
    "token" text NOT NULL,
    "expires_at" bigint NOT NULL,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    FOREIGN KEY ("user_id") REFERENCES "user" ("id") ON DELETE CASCADE
);
CREATE INDEX "idx_oauth_session_expires_at" ON "oauth_session" ("expires_at");
CREATE INDEX "idx_oauth_session_user_id" ON "oauth_session" ("user_id");
CREATE INDEX "idx_oauth_session_user_provider" ON "oauth_session" ("user_id", "provider");

CREATE TABLE "pinned_note" (
    "id" text NOT NULL,
    "user_id" text NOT NULL,
    "note_id" text NOT NULL,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("id"),
    CONSTRAINT "uq_pinned_note" UNIQUE ("user_id", "note_id"),
    FOREIGN KEY ("note_id") REFERENCES "note" ("id") ON DELETE CASCADE
);

CREATE TABLE "prompt" (
    "id" text NOT NULL,
    "command" varchar,
    "user_id" varchar NOT NULL,
    "name" text NOT NULL,
    "content" text NOT NULL,
    "data" json,
    "meta" json,
    "is_active" boolean NOT NULL DEFAULT TRUE,
    "version_id" text,
    "tags" json,
    "created_at" bigint NOT NULL,
    "updated_at" bigint NOT NULL,
    CONSTRAINT "prompt_new_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "ix_prompt_new_command" ON "prompt" ("command");

CREATE TABLE "prompt_history" (
    "id" text NOT NULL,
    "prompt_id" text NOT NULL,
    "parent_id" text,
    "snapshot" json NOT NULL,
    "user_id" text NOT NULL,
    "commit_message" text,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_prompt_history_prompt_id" ON "prompt_history" ("prompt_id");

CREATE TABLE "shared_chat" (
    "id" text NOT NULL,
    "chat_id" text NOT NULL,
    "user_id" text NOT NULL,
    "title" text,
    "chat" json,
    "created_at" bigint,
    "updated_at" bigint,
    PRIMARY KEY ("id"),
    FOREIGN KEY ("chat_id") REFERENCES "chat" ("id") ON DELETE CASCADE
);

CREATE TABLE "skill" (
    "id" varchar NOT NULL,
    "user_id" varchar NOT NULL,
    "name" text NOT NULL,
    "description" text,
    "content" text NOT NULL,
    "meta" json,
    "is_active" boolean NOT NULL,
    "updated_at" bigint NOT NULL,
    "created_at" bigint NOT NULL,
    "version_id" text,
    "data" json,
    PRIMARY KEY ("id"),
    UNIQUE ("name")
);
CREATE INDEX "idx_skill_updated_at" ON "skill" ("updated_at");
CREATE INDEX "idx_skill_user_id" ON "skill" ("user_id");

CREATE TABLE "skill_history" (
    "id" text NOT NULL,
    "skill_id" text NOT NULL,
    "parent_id" text,
    "snapshot" json NOT NULL,
    "user_id" text NOT NULL,
    "commit_message" text,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_skill_history_skill_id" ON "skill_history" ("skill_id");

CREATE TABLE "tag" (
    "id" varchar NOT NULL,
    "name" varchar,
    "user_id" varchar,
    "meta" json,
    CONSTRAINT "pk_id_user_id" PRIMARY KEY ("id", "user_id")
);
CREATE INDEX "user_id_idx" ON "tag" ("user_id");

CREATE TABLE "tool" (
    "id" varchar NOT NULL,
    "user_id" varchar,
    "name" text,
    "content" text,
    "specs" text,
    "meta" text,
    "valves" text,
    "updated_at" bigint,
    "created_at" bigint,
    "version_id" text,
    PRIMARY KEY ("id")
);

CREATE TABLE "tool_history" (
    "id" text NOT NULL,
    "tool_id" text NOT NULL,
    "parent_id" text,
    "snapshot" json NOT NULL,
    "user_id" text NOT NULL,
    "commit_message" text,
    "created_at" bigint NOT NULL,
    PRIMARY KEY ("id")
);
CREATE INDEX "ix_tool_history_tool_id" ON "tool_history" ("tool_id");
