DROP TABLE `innkeeper_counter`;
DROP TABLE `innkeeper_user_valves`;
DROP TABLE `innkeeper_grant`;
DROP TABLE `innkeeper_plugin_component`;
DROP TABLE `innkeeper_plugin_revision`;
DROP TABLE `innkeeper_plugin_sequence`;
DROP TABLE `innkeeper_plugin`;
