DROP TABLE `innkeeper_api_key`;
