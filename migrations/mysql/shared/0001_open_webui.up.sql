-- Open WebUI 0.12.4's tables, with its names, columns and indexes.
-- The engine runs this on an empty database only.
-- Open WebUI itself does not run on MySQL; types were chosen so that each of its values fits.

CREATE TABLE `access_grant` (
    `id` VARCHAR(255) NOT NULL,
    `resource_type` VARCHAR(32) NOT NULL,
    `resource_id` VARCHAR(255) NOT NULL,
    `principal_type` VARCHAR(32) NOT NULL,
    `principal_id` VARCHAR(255) NOT NULL,
    `permission` VARCHAR(32) NOT NULL,
    `created_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    CONSTRAINT `uq_access_grant_grant` UNIQUE (`resource_type`, `resource_id`, `principal_type`, `principal_id`, `permission`),
    INDEX `idx_access_grant_principal` (`principal_type`, `principal_id`),
    INDEX `idx_access_grant_resource` (`resource_type`, `resource_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `alembic_version` (
    `version_num` VARCHAR(32) NOT NULL,
    PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
-- Open WebUI 0.12.4 finds nothing left to do here, should it be pointed at this database.
INSERT INTO `alembic_version` (`version_num`) VALUES ('0bd252b206fb');

CREATE TABLE `user` (
    `id` VARCHAR(255) NOT NULL,
    `name` VARCHAR(255),
    `email` VARCHAR(255),
    `role` VARCHAR(255),
    `profile_image_url` LONGTEXT,
    `last_active_at` BIGINT,
    `updated_at` BIGINT,
    `created_at` BIGINT,
    `username` VARCHAR(50),
    `bio` LONGTEXT,
    `gender` LONGTEXT,
    `date_of_birth` DATE,
    `profile_banner_image_url` LONGTEXT,
    `timezone` VARCHAR(255),
    `presence_state` VARCHAR(255),
    `status_emoji` VARCHAR(255),
    `status_message` LONGTEXT,
    `status_expires_at` BIGINT,
    `oauth` LONGTEXT,
    `info` LONGTEXT,
    `settings` LONGTEXT,
    `scim` LONGTEXT,
    `variables` LONGTEXT,
    -- Stands for a unique index on lower(email), which MariaDB does not have.
    `email_lower` VARCHAR(255) GENERATED ALWAYS AS (lower(`email`)) VIRTUAL,
    PRIMARY KEY (`id`),
    UNIQUE INDEX `uq_user_email_lower` (`email_lower`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `api_key` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `key` VARCHAR(255) NOT NULL,
    `data` LONGTEXT,
    `expires_at` BIGINT,
    `last_used_at` BIGINT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    FOREIGN KEY (`user_id`) REFERENCES `user` (`id`) ON DELETE CASCADE,
    UNIQUE (`key`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `app` (
    `id` VARCHAR(255) NOT NULL,
    `slug` VARCHAR(255) NOT NULL,
    `name` LONGTEXT NOT NULL,
    `user_id` VARCHAR(255),
    `is_active` TINYINT(1) NOT NULL DEFAULT 0,
    `data` LONGTEXT NOT NULL,
    `api_key` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE (`slug`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `auth` (
    `id` VARCHAR(255) NOT NULL,
    `email` VARCHAR(255),
    `password` LONGTEXT,
    `active` TINYINT(1),
    `mfa` LONGTEXT,
    `session_stamp` LONGTEXT,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `automation` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `name` LONGTEXT NOT NULL,
    `data` LONGTEXT NOT NULL,
    `meta` LONGTEXT,
    `is_active` TINYINT(1) NOT NULL,
    `last_run_at` BIGINT,
    `next_run_at` BIGINT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    `folder_id` VARCHAR(255),
    PRIMARY KEY (`id`),
    INDEX `ix_automation_next_run` (`next_run_at`),
    INDEX `ix_automation_user_folder` (`user_id`, `folder_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `automation_run` (
    `id` VARCHAR(255) NOT NULL,
    `automation_id` VARCHAR(255) NOT NULL,
    `chat_id` VARCHAR(255),
    `status` LONGTEXT NOT NULL,
    `error` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    INDEX `ix_automation_run_automation_id` (`automation_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `calendar` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `name` LONGTEXT NOT NULL,
    `color` LONGTEXT,
    `is_default` TINYINT(1) NOT NULL,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    INDEX `ix_calendar_user` (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `calendar_event` (
    `id` VARCHAR(255) NOT NULL,
    `calendar_id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `title` LONGTEXT NOT NULL,
    `description` LONGTEXT,
    `start_at` BIGINT NOT NULL,
    `end_at` BIGINT,
    `all_day` TINYINT(1) NOT NULL,
    `rrule` LONGTEXT,
    `color` LONGTEXT,
    `location` LONGTEXT,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `is_cancelled` TINYINT(1) NOT NULL,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    INDEX `ix_calendar_event_calendar` (`calendar_id`, `start_at`),
    INDEX `ix_calendar_event_user_date` (`user_id`, `start_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `calendar_event_attendee` (
    `id` VARCHAR(255) NOT NULL,
    `event_id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `status` VARCHAR(255) NOT NULL,
    `meta` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    CONSTRAINT `uq_event_attendee` UNIQUE (`event_id`, `user_id`),
    INDEX `ix_calendar_event_attendee_user` (`user_id`, `status`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `channel` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `name` LONGTEXT,
    `description` LONGTEXT,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `created_at` BIGINT,
    `updated_at` BIGINT,
    `type` LONGTEXT,
    `is_private` TINYINT(1),
    `archived_at` BIGINT,
    `archived_by` VARCHAR(255),
    `deleted_at` BIGINT,
    `deleted_by` VARCHAR(255),
    `updated_by` VARCHAR(255),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `message` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `channel_id` VARCHAR(255),
    `content` LONGTEXT,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `created_at` BIGINT,
    `updated_at` BIGINT,
    `parent_id` VARCHAR(255),
    `reply_to_id` VARCHAR(255),
    `is_pinned` TINYINT(1) NOT NULL DEFAULT 0,
    `pinned_at` BIGINT,
    `pinned_by` VARCHAR(255),
    `app_id` VARCHAR(255),
    PRIMARY KEY (`id`),
    INDEX `ix_message_app` (`app_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `file` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `filename` LONGTEXT,
    `meta` LONGTEXT,
    `created_at` BIGINT,
    `hash` LONGTEXT,
    `data` LONGTEXT,
    `updated_at` BIGINT,
    `path` LONGTEXT,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `channel_file` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `channel_id` VARCHAR(255) NOT NULL,
    `file_id` VARCHAR(255) NOT NULL,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    `message_id` VARCHAR(255),
    PRIMARY KEY (`id`),
    CONSTRAINT `uq_channel_file_channel_file` UNIQUE (`channel_id`, `file_id`),
    CONSTRAINT `fk_channel_file_message_id` FOREIGN KEY (`message_id`) REFERENCES `message` (`id`) ON DELETE CASCADE,
    FOREIGN KEY (`channel_id`) REFERENCES `channel` (`id`) ON DELETE CASCADE,
    FOREIGN KEY (`file_id`) REFERENCES `file` (`id`) ON DELETE CASCADE,
    INDEX `ix_channel_file_channel_id` (`channel_id`),
    INDEX `ix_channel_file_file_id` (`file_id`),
    INDEX `ix_channel_file_user_id` (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `channel_member` (
    `id` VARCHAR(255) NOT NULL,
    `channel_id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `created_at` BIGINT,
    `status` LONGTEXT,
    `is_active` TINYINT(1) NOT NULL DEFAULT 1,
    `is_channel_muted` TINYINT(1) NOT NULL DEFAULT 0,
    `is_channel_pinned` TINYINT(1) NOT NULL DEFAULT 0,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `joined_at` BIGINT NOT NULL,
    `left_at` BIGINT,
    `last_read_at` BIGINT,
    `updated_at` BIGINT,
    `role` LONGTEXT,
    `invited_by` VARCHAR(255),
    `invited_at` BIGINT,
    `app_id` VARCHAR(255),
    PRIMARY KEY (`id`),
    CONSTRAINT `ck_channel_member_identity` CHECK ((`user_id` IS NULL) <> (`app_id` IS NULL)),
    CONSTRAINT `uq_channel_member_app` UNIQUE (`channel_id`, `app_id`),
    INDEX `ix_channel_member_app_active` (`app_id`, `is_active`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `channel_webhook` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `channel_id` VARCHAR(255) NOT NULL,
    `name` LONGTEXT NOT NULL,
    `profile_image_url` LONGTEXT,
    `token` LONGTEXT NOT NULL,
    `last_used_at` BIGINT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    FOREIGN KEY (`channel_id`) REFERENCES `channel` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `chat` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `title` LONGTEXT,
    `created_at` BIGINT,
    `updated_at` BIGINT,
    `share_id` VARCHAR(255),
    `archived` TINYINT(1),
    `chat` LONGTEXT,
    `pinned` TINYINT(1),
    `meta` LONGTEXT NOT NULL DEFAULT ('{}'),
    `folder_id` VARCHAR(255),
    `tasks` LONGTEXT,
    `summary` LONGTEXT,
    `last_read_at` BIGINT,
    `current_message_id` VARCHAR(255),
    `variables` LONGTEXT,
    `timer_at` BIGINT,
    PRIMARY KEY (`id`),
    UNIQUE (`share_id`),
    INDEX `folder_id_idx` (`folder_id`),
    INDEX `folder_id_user_id_idx` (`folder_id`, `user_id`),
    INDEX `timer_at_idx` (`timer_at`),
    INDEX `updated_at_user_id_idx` (`updated_at`, `user_id`),
    INDEX `user_id_archived_idx` (`user_id`, `archived`),
    INDEX `user_id_folder_unread_idx` (`user_id`, `folder_id`, `archived`, `updated_at`, `last_read_at`),
    INDEX `user_id_pinned_idx` (`user_id`, `pinned`),
    INDEX `user_id_timer_at_idx` (`user_id`, `timer_at`),
    INDEX `user_id_updated_at_id_idx` (`user_id`, `updated_at` DESC, `id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `chat_file` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `chat_id` VARCHAR(255) NOT NULL,
    `file_id` VARCHAR(255) NOT NULL,
    `message_id` VARCHAR(255),
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    CONSTRAINT `uq_chat_file_chat_file` UNIQUE (`chat_id`, `file_id`),
    FOREIGN KEY (`chat_id`) REFERENCES `chat` (`id`) ON DELETE CASCADE,
    FOREIGN KEY (`file_id`) REFERENCES `file` (`id`) ON DELETE CASCADE,
    INDEX `ix_chat_file_chat_id` (`chat_id`),
    INDEX `ix_chat_file_file_id` (`file_id`),
    INDEX `ix_chat_file_message_id` (`message_id`),
    INDEX `ix_chat_file_user_id` (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `chat_message` (
    `id` VARCHAR(255) NOT NULL,
    `chat_id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `role` VARCHAR(255) NOT NULL,
    `parent_id` VARCHAR(255),
    `content` LONGTEXT,
    `output` LONGTEXT,
    `model_id` VARCHAR(255),
    `files` LONGTEXT,
    `sources` LONGTEXT,
    `embeds` LONGTEXT,
    `done` TINYINT(1),
    `status_history` LONGTEXT,
    `error` LONGTEXT,
    `usage` LONGTEXT,
    `created_at` BIGINT,
    `updated_at` BIGINT,
    `context_summary` LONGTEXT,
    `meta` LONGTEXT,
    PRIMARY KEY (`id`),
    FOREIGN KEY (`chat_id`) REFERENCES `chat` (`id`) ON DELETE CASCADE,
    INDEX `chat_message_chat_parent_idx` (`chat_id`, `parent_id`),
    INDEX `chat_message_chat_role_done_idx` (`chat_id`, `role`, `done`),
    INDEX `chat_message_model_created_idx` (`model_id`, `created_at`),
    INDEX `chat_message_user_created_idx` (`user_id`, `created_at`),
    INDEX `ix_chat_message_chat_id` (`chat_id`),
    INDEX `ix_chat_message_created_at` (`created_at`),
    INDEX `ix_chat_message_model_id` (`model_id`),
    INDEX `ix_chat_message_user_id` (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `chatidtag` (
    `id` VARCHAR(255) NOT NULL,
    `tag_name` VARCHAR(255),
    `chat_id` VARCHAR(255),
    `user_id` VARCHAR(255),
    `timestamp` BIGINT,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `config` (
    `key` VARCHAR(255) NOT NULL,
    `value` LONGTEXT NOT NULL,
    `updated_at` BIGINT,
    PRIMARY KEY (`key`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `config_old` (
    `id` INT NOT NULL AUTO_INCREMENT,
    `data` LONGTEXT NOT NULL,
    `version` INT NOT NULL,
    `created_at` DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    `updated_at` DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `document` (
    `collection_name` VARCHAR(255) NOT NULL,
    `name` VARCHAR(255),
    `title` LONGTEXT,
    `filename` LONGTEXT,
    `content` LONGTEXT,
    `user_id` VARCHAR(255),
    `timestamp` BIGINT,
    PRIMARY KEY (`collection_name`),
    UNIQUE (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `feedback` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `version` BIGINT,
    `type` LONGTEXT,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `snapshot` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `folder` (
    `id` VARCHAR(255) NOT NULL,
    `parent_id` VARCHAR(255),
    `user_id` VARCHAR(255) NOT NULL,
    `name` LONGTEXT NOT NULL,
    `items` LONGTEXT,
    `meta` LONGTEXT,
    `is_expanded` TINYINT(1) NOT NULL,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    `data` LONGTEXT,
    PRIMARY KEY (`id`, `user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `function` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `name` LONGTEXT,
    `type` LONGTEXT,
    `content` LONGTEXT,
    `meta` LONGTEXT,
    `valves` LONGTEXT,
    `is_active` TINYINT(1),
    `is_global` TINYINT(1),
    `updated_at` BIGINT,
    `created_at` BIGINT,
    `version_id` VARCHAR(255),
    PRIMARY KEY (`id`),
    INDEX `is_global_idx` (`is_global`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `function_history` (
    `id` VARCHAR(255) NOT NULL,
    `function_id` VARCHAR(255) NOT NULL,
    `parent_id` VARCHAR(255),
    `snapshot` LONGTEXT NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `commit_message` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    INDEX `ix_function_history_function_id` (`function_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `group` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `name` LONGTEXT,
    `description` LONGTEXT,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `permissions` LONGTEXT,
    `created_at` BIGINT,
    `updated_at` BIGINT,
    `parent_group_id` VARCHAR(255),
    PRIMARY KEY (`id`),
    CONSTRAINT `fk_group_parent` FOREIGN KEY (`parent_group_id`) REFERENCES `group` (`id`) ON DELETE SET NULL,
    INDEX `ix_group_parent_group_id` (`parent_group_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `group_member` (
    `id` VARCHAR(255) NOT NULL,
    `group_id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `created_at` BIGINT,
    `updated_at` BIGINT,
    PRIMARY KEY (`id`),
    CONSTRAINT `uq_group_member_group_user` UNIQUE (`group_id`, `user_id`),
    FOREIGN KEY (`group_id`) REFERENCES `group` (`id`) ON DELETE CASCADE,
    FOREIGN KEY (`user_id`) REFERENCES `user` (`id`) ON DELETE CASCADE,
    INDEX `ix_group_member_user_id_group_id` (`user_id`, `group_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `knowledge` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `name` LONGTEXT NOT NULL,
    `description` LONGTEXT,
    `meta` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT,
    `data` LONGTEXT,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `knowledge_directory` (
    `id` VARCHAR(255) NOT NULL,
    `knowledge_id` VARCHAR(255) NOT NULL,
    `parent_id` VARCHAR(255),
    `name` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    FOREIGN KEY (`knowledge_id`) REFERENCES `knowledge` (`id`) ON DELETE CASCADE,
    FOREIGN KEY (`parent_id`) REFERENCES `knowledge_directory` (`id`) ON DELETE CASCADE,
    CONSTRAINT `uq_knowledge_directory_knowledge_parent_name` UNIQUE (`knowledge_id`, `parent_id`, `name`),
    INDEX `ix_knowledge_directory_knowledge_id` (`knowledge_id`),
    INDEX `ix_knowledge_directory_parent_id` (`parent_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `knowledge_file` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `knowledge_id` VARCHAR(255) NOT NULL,
    `file_id` VARCHAR(255) NOT NULL,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    `directory_id` VARCHAR(255),
    PRIMARY KEY (`id`),
    CONSTRAINT `uq_knowledge_file_knowledge_file` UNIQUE (`knowledge_id`, `file_id`),
    CONSTRAINT `fk_knowledge_file_directory_id` FOREIGN KEY (`directory_id`) REFERENCES `knowledge_directory` (`id`) ON DELETE SET NULL,
    FOREIGN KEY (`file_id`) REFERENCES `file` (`id`) ON DELETE CASCADE,
    FOREIGN KEY (`knowledge_id`) REFERENCES `knowledge` (`id`) ON DELETE CASCADE,
    INDEX `ix_knowledge_file_directory_id` (`directory_id`),
    INDEX `ix_knowledge_file_file_id` (`file_id`),
    INDEX `ix_knowledge_file_knowledge_id` (`knowledge_id`),
    INDEX `ix_knowledge_file_user_id` (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `memory` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `content` LONGTEXT,
    `updated_at` BIGINT,
    `created_at` BIGINT,
    `type` VARCHAR(255) NOT NULL DEFAULT 'context',
    `path` LONGTEXT,
    `meta` LONGTEXT,
    PRIMARY KEY (`id`),
    INDEX `ix_memory_id_user_id` (`id`, `user_id`),
    INDEX `ix_memory_type` (`type`),
    INDEX `ix_memory_user_id` (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `message_reaction` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `message_id` VARCHAR(255) NOT NULL,
    `name` LONGTEXT NOT NULL,
    `created_at` BIGINT,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `model` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `base_model_id` VARCHAR(255),
    `name` LONGTEXT,
    `params` LONGTEXT,
    `meta` LONGTEXT,
    `updated_at` BIGINT,
    `created_at` BIGINT,
    `is_active` TINYINT(1) NOT NULL DEFAULT 1,
    `version_id` VARCHAR(255),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `model_history` (
    `id` VARCHAR(255) NOT NULL,
    `model_id` VARCHAR(255) NOT NULL,
    `parent_id` VARCHAR(255),
    `snapshot` LONGTEXT NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `commit_message` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    INDEX `ix_model_history_model_id` (`model_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `note` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `title` LONGTEXT,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `created_at` BIGINT,
    `updated_at` BIGINT,
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `oauth_session` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `provider` VARCHAR(255) NOT NULL,
    `token` LONGTEXT NOT NULL,
    `expires_at` BIGINT NOT NULL,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    FOREIGN KEY (`user_id`) REFERENCES `user` (`id`) ON DELETE CASCADE,
    INDEX `idx_oauth_session_expires_at` (`expires_at`),
    INDEX `idx_oauth_session_user_id` (`user_id`),
    INDEX `idx_oauth_session_user_provider` (`user_id`, `provider`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `pinned_note` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `note_id` VARCHAR(255) NOT NULL,
    `created_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    CONSTRAINT `uq_pinned_note` UNIQUE (`user_id`, `note_id`),
    FOREIGN KEY (`note_id`) REFERENCES `note` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `prompt` (
    `id` VARCHAR(255) NOT NULL,
    `command` VARCHAR(255),
    `user_id` VARCHAR(255) NOT NULL,
    `name` LONGTEXT NOT NULL,
    `content` LONGTEXT NOT NULL,
    `data` LONGTEXT,
    `meta` LONGTEXT,
    `is_active` TINYINT(1) NOT NULL DEFAULT 1,
    `version_id` VARCHAR(255),
    `tags` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    `updated_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    UNIQUE INDEX `ix_prompt_new_command` (`command`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `prompt_history` (
    `id` VARCHAR(255) NOT NULL,
    `prompt_id` VARCHAR(255) NOT NULL,
    `parent_id` VARCHAR(255),
    `snapshot` LONGTEXT NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `commit_message` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    INDEX `ix_prompt_history_prompt_id` (`prompt_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `shared_chat` (
    `id` VARCHAR(255) NOT NULL,
    `chat_id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `title` LONGTEXT,
    `chat` LONGTEXT,
    `created_at` BIGINT,
    `updated_at` BIGINT,
    PRIMARY KEY (`id`),
    FOREIGN KEY (`chat_id`) REFERENCES `chat` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `skill` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `name` VARCHAR(255) NOT NULL,
    `description` LONGTEXT,
    `content` LONGTEXT NOT NULL,
    `meta` LONGTEXT,
    `is_active` TINYINT(1) NOT NULL,
    `updated_at` BIGINT NOT NULL,
    `created_at` BIGINT NOT NULL,
    `version_id` VARCHAR(255),
    `data` LONGTEXT,
    PRIMARY KEY (`id`),
    UNIQUE (`name`),
    INDEX `idx_skill_updated_at` (`updated_at`),
    INDEX `idx_skill_user_id` (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `skill_history` (
    `id` VARCHAR(255) NOT NULL,
    `skill_id` VARCHAR(255) NOT NULL,
    `parent_id` VARCHAR(255),
    `snapshot` LONGTEXT NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `commit_message` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    INDEX `ix_skill_history_skill_id` (`skill_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `tag` (
    `id` VARCHAR(255) NOT NULL,
    `name` VARCHAR(255),
    `user_id` VARCHAR(255),
    `meta` LONGTEXT,
    PRIMARY KEY (`id`, `user_id`),
    INDEX `user_id_idx` (`user_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `tool` (
    `id` VARCHAR(255) NOT NULL,
    `user_id` VARCHAR(255),
    `name` LONGTEXT,
    `content` LONGTEXT,
    `specs` LONGTEXT,
    `meta` LONGTEXT,
    `valves` LONGTEXT,
    `updated_at` BIGINT,
    `created_at` BIGINT,
    `version_id` VARCHAR(255),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE `tool_history` (
    `id` VARCHAR(255) NOT NULL,
    `tool_id` VARCHAR(255) NOT NULL,
    `parent_id` VARCHAR(255),
    `snapshot` LONGTEXT NOT NULL,
    `user_id` VARCHAR(255) NOT NULL,
    `commit_message` LONGTEXT,
    `created_at` BIGINT NOT NULL,
    PRIMARY KEY (`id`),
    INDEX `ix_tool_history_tool_id` (`tool_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
