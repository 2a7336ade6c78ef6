<?php
// The settings of WordPress, from the environment of the container.

// A value may be in a file, which a variable with `_FILE` behind its name names.
function of_environment($name, $default) {
    $file = getenv($name . '_FILE');
    if ($file !== false) {
        return rtrim(file_get_contents($file), "\r\n");
    }
    $value = getenv($name);
    return $value === false ? $default : $value;
}

define('DB_HOST', of_environment('WORDPRESS_DB_HOST', 'mysql'));
define('DB_NAME', of_environment('WORDPRESS_DB_NAME', 'wordpress'));
define('DB_USER', of_environment('WORDPRESS_DB_USER', 'example username'));
define('DB_PASSWORD', of_environment('WORDPRESS_DB_PASSWORD', 'example password'));
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = of_environment('WORDPRESS_TABLE_PREFIX', 'wp_');

define('WP_DEFAULT_THEME', 'plain');
define('DISABLE_WP_CRON', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);

// The address by which it was asked, whatever it was installed as: any node answers.
if (isset($_SERVER['HTTP_HOST'])) {
    define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
    define('WP_SITEURL', 'http://' . $_SERVER['HTTP_HOST']);
}

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
