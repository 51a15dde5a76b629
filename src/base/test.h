#pragma once

/* What every unit test includes: cmocka, and what cmocka wants included before it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
