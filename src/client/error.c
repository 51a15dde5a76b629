/* Public error codes are err_t's numbers. */
#include <stdarg.h>
#include <stdio.h>

#include "client/core_int.h"

_Static_assert((int)OTTLA_OK == (int)ERR_OK, "");
_Static_assert((int)OTTLA_PENDING == (int)ERR_PENDING, "");
_Static_assert((int)OTTLA_CLOSED == (int)ERR_CLOSED, "");
_Static_assert((int)OTTLA_REFUSED == (int)ERR_REFUSED, "");
_Static_assert((int)OTTLA_NOT_FOUND == (int)ERR_NOT_FOUND, "");
_Static_assert((int)OTTLA_EXISTS == (int)ERR_EXISTS, "");
_Static_assert((int)OTTLA_IO == (int)ERR_IO, "");
_Static_assert((int)OTTLA_NO_MEMORY == (int)ERR_NO_MEMORY, "");
_Static_assert((int)OTTLA_MALFORMED == (int)ERR_MALFORMED, "");
_Static_assert((int)OTTLA_UNSUPPORTED == (int)ERR_UNSUPPORTED, "");
_Static_assert((int)OTTLA_LIMIT == (int)ERR_LIMIT, "");
_Static_assert((int)OTTLA_BUSY == (int)ERR_BUSY, "");
_Static_assert((int)OTTLA_INVALID == (int)ERR_INVALID, "");
_Static_assert((int)OTTLA_TIMED_OUT == (int)ERR_TIMED_OUT, "");

const char *ottla_code_name(int code) {
    return err_name((err_t)code);
}

const char *ottla_code_text(int code) {
    return err_text((err_t)code);
}

bool ottla_code_retriable(int code) {
    return err_retriable((err_t)code) || client_connection_lost((err_t)code);
}

int client_error_set(struct ottla_error *ret_error, int code, const char *format, ...) {
    if (ret_error != NULL) {
        ret_error->code = code;
        va_list args;
        va_start(args, format);
        (void)vsnprintf(ret_error->text, sizeof ret_error->text, format, args);
        va_end(args);
    }
    return code;
}

bool client_connection_lost(err_t err) {
    return err == ERR_CLOSED || err == ERR_REFUSED || err == ERR_TIMED_OUT || err == ERR_IO ||
           err == ERR_NO_FILES || err == ERR_NOT_FOUND;
}

const char *client_connection_text(err_t err) {
    switch (err) {
    case ERR_REFUSED:
        return "nobody listens there; is the broker running, and is the address right?";
    case ERR_NOT_FOUND:
        return "the host's name cannot be resolved";
    case ERR_TIMED_OUT:
        return "no answer in time";
    case ERR_CLOSED:
    case ERR_IO:
        return "the connection was closed";
    case ERR_MALFORMED:
        return "the answer does not follow Kafka's protocol; does something else listen there, or "
               "does the listener want TLS?";
    case ERR_UNSUPPORTED_VERSION:
        return "the broker does not have this request in a version that fits";
    default:
        return err_text(err);
    }
}
