#include "broker/events/sqlite_log.hpp"
